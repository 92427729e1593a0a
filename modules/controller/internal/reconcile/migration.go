package reconcile

import (
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"

	"app238.com/inner/modules/controller/internal/cache"
	"app238.com/inner/modules/controller/internal/children"
)

// propagationDelay is how long changes take to reach the ingress, which reloads at most every two seconds, and the nodes, which
// may batch changes of endpoints for a second.
const propagationDelay = 5 * time.Second

// migration returns the progress of a worker's migration from the headless Service of an earlier release to the Service with a
// cluster IP, derived from the actual objects alone. Each step keeps what the step before needs, so that no request is lost
// whatever state the ingress has: first N-ext points to the new Service under the old port, then the route uses port 80, then
// the old objects are deleted. It also returns how long the next step waits for the last one to propagate.
func (r *Reconciler) migration(app string, desiredPort int64, actual cache.Actual) (children.Migration, time.Duration) {
	if actual.External == nil || actual.Route == nil {
		return children.Migrated(), 0
	}
	routed, legacy := children.RoutePort(actual.Route), children.LegacyPortOf(actual.External)
	ports := map[int32]bool{}
	for _, port := range actual.External.Spec.Ports {
		ports[port.Port] = true
	}
	switch {
	case children.PointsToLegacy(actual.External, r.builder.WorkerNamespace):
		started, wait := r.startMigration(app, desiredPort != int64(routed), actual)
		return children.Migration{LegacyPort: routed, Started: started}, wait
	case routed != 0 && !children.IsServicePort(routed) && ports[routed]:
		wait := r.migrationSteps.wait(app, "route", r.now())
		return children.Migration{LegacyPort: routed, Started: true, Routed: wait == 0}, wait
	case legacy != 0 && children.IsServicePort(routed) && ports[routed]:
		if wait := r.migrationSteps.wait(app, "rest", r.now()); wait > 0 {
			return children.Migration{LegacyPort: legacy, Started: true, Routed: true}, wait
		}
	}
	r.migrationSteps.forget(app)
	return children.Migrated(), 0
}

// startMigration reports whether requests go to the new Service from now on, or how long that waits for propagation.
func (r *Reconciler) startMigration(app string, otherPort bool, actual cache.Actual) (bool, time.Duration) {
	switch {
	case actual.Legacy == nil:
		return true, 0
	case !newServiceReady(actual, otherPort):
		r.migrationSteps.forget(app)
		return false, 0
	case otherPort: // the pods fail requests to the old port: waiting would lose more
		return true, 0
	}
	wait := r.migrationSteps.wait(app, "begin", r.now())
	return wait == 0, wait
}

// newServiceReady reports whether enough pods of the new Service, those with a named port, are ready for all requests. If the new
// version listens on another port, one such pod is enough, since it fails requests to the old port.
func newServiceReady(actual cache.Actual, otherPort bool) bool {
	if actual.Deployment == nil || !children.HasNamedPort(actual.Deployment) {
		return false
	}
	readyPods := int32(0)
	for _, pod := range actual.Pods {
		if pod.DeletionTimestamp == nil && ready(pod) && children.IsCurrent(pod, actual.Deployment) {
			readyPods++
		}
	}
	desired := int32(1)
	if replicas := actual.Deployment.Spec.Replicas; replicas != nil && !otherPort {
		desired = *replicas
	}
	return readyPods >= desired
}

func ready(pod *corev1.Pod) bool {
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodReady {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}

// migrationSteps holds when each worker began the step that has to propagate. A new process restarts the wait.
type migrationSteps struct {
	mu    sync.Mutex
	steps map[string]migrationStep
}

type migrationStep struct {
	name  string
	since time.Time
}

func newMigrationSteps() *migrationSteps { return &migrationSteps{steps: map[string]migrationStep{}} }

// wait returns how long app still has to stay at the step.
func (m *migrationSteps) wait(app, name string, now time.Time) time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.steps[app].name != name {
		m.steps[app] = migrationStep{name, now}
	}
	return max(0, m.steps[app].since.Add(propagationDelay).Sub(now))
}

// forget drops a worker that waits for no step.
func (m *migrationSteps) forget(app string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.steps, app)
}

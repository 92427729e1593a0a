package reconcile

import (
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"

	"app238.com/inner/modules/controller/internal/cache"
	"app238.com/inner/modules/controller/internal/children"
)

// noticed is how long the ingress, which looks at most every two seconds, and the nodes, which may gather changes of a Service's
// pods for a second, take to follow what they read.
const propagationDelay = 5 * time.Second

// way tells how far the requests to a worker have come from the headless Service of an earlier release to the Service with
// an address, by what is there alone. Each step leaves what the one before it needs, so that no request is lost, wherever the
// ingress has got to: the new name is led to under the old port, then the route leads to port 80, then what is old goes.
// Where a step has to wait for the one before it to be noticed, it also returns for how long.
func (r *Reconciler) migration(app string, desired int64, actual cache.Actual) (children.Migration, time.Duration) {
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
		started, wait := r.startMigration(app, desired != int64(routed), actual)
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

// begins tells whether requests go to the new Service from now on, or, where only time is missing, for how long not yet.
func (r *Reconciler) startMigration(app string, otherPort bool, actual cache.Actual) (bool, time.Duration) {
	switch {
	case actual.Legacy == nil:
		return true, 0
	case !newServiceReady(actual, otherPort):
		r.migrationSteps.forget(app)
		return false, 0
	case otherPort: // the pods fail what comes by the old port: to wait would lose more
		return true, 0
	}
	wait := r.migrationSteps.wait(app, "begin", r.now())
	return wait == 0, wait
}

// reachable tells whether the pods that the new Service leads to can do with all requests: those that name their port. Where
// the new version listens on another port than the old one, one such pod is enough, since it fails what comes to it the old way.
func newServiceReady(actual cache.Actual, otherPort bool) bool {
	if actual.Deployment == nil || !children.HasNamedPort(actual.Deployment) {
		return false
	}
	serving := int32(0)
	for _, pod := range actual.Pods {
		if pod.DeletionTimestamp == nil && ready(pod) && children.IsCurrent(pod, actual.Deployment) {
			serving++
		}
	}
	desired := int32(1)
	if replicas := actual.Deployment.Spec.Replicas; replicas != nil && !otherPort {
		desired = *replicas
	}
	return serving >= desired
}

func ready(pod *corev1.Pod) bool {
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodReady {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}

// moves remembers since when each worker is at a step that has to be noticed. A new process begins to wait anew.
type migrationSteps struct {
	mu    sync.Mutex
	steps map[string]step
}

type step struct {
	name  string
	since time.Time
}

func newMigrationSteps() *migrationSteps { return &migrationSteps{steps: map[string]step{}} }

// wait returns how long app has to stay at the step yet.
func (m *migrationSteps) wait(app, name string, now time.Time) time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.steps[app].name != name {
		m.steps[app] = step{name, now}
	}
	return max(0, m.steps[app].since.Add(propagationDelay).Sub(now))
}

// forget is for a worker that is not on the way.
func (m *migrationSteps) forget(app string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.steps, app)
}

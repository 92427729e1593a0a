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
const noticed = 5 * time.Second

// way tells how far the requests to a worker have come from the headless Service of an earlier release to the Service with
// an address, by what is there alone. Each step leaves what the one before it needs, so that no request is lost, wherever the
// ingress has got to: the new name is led to under the old port, then the route leads to port 80, then what is old goes.
// Where a step has to wait for the one before it to be noticed, it also returns for how long.
func (r *Reconciler) way(app string, desired int64, found cache.Found) (children.Way, time.Duration) {
	if found.External == nil || found.Route == nil {
		return children.Moved(), 0
	}
	routed, former := children.RoutePort(found.Route), children.FormerPort(found.External)
	ports := map[int32]bool{}
	for _, port := range found.External.Spec.Ports {
		ports[port.Port] = true
	}
	switch {
	case children.LeadsToFormer(found.External, r.builder.WorkerNamespace):
		begun, wait := r.begins(app, desired != int64(routed), found)
		return children.Way{Former: routed, Begun: begun}, wait
	case routed != 0 && !children.IsServicePort(routed) && ports[routed]:
		wait := r.moves.wait(app, "route", r.now())
		return children.Way{Former: routed, Begun: true, Routed: wait == 0}, wait
	case former != 0 && children.IsServicePort(routed) && ports[routed]:
		if wait := r.moves.wait(app, "rest", r.now()); wait > 0 {
			return children.Way{Former: former, Begun: true, Routed: true}, wait
		}
	}
	r.moves.forget(app)
	return children.Moved(), 0
}

// begins tells whether requests go to the new Service from now on, or, where only time is missing, for how long not yet.
func (r *Reconciler) begins(app string, otherPort bool, found cache.Found) (bool, time.Duration) {
	switch {
	case found.Former == nil:
		return true, 0
	case !reachable(found, otherPort):
		r.moves.forget(app)
		return false, 0
	case otherPort: // the pods fail what comes by the old port: to wait would lose more
		return true, 0
	}
	wait := r.moves.wait(app, "begin", r.now())
	return wait == 0, wait
}

// reachable tells whether the pods that the new Service leads to can do with all requests: those that name their port. Where
// the new version listens on another port than the old one, one such pod is enough, since it fails what comes to it the old way.
func reachable(found cache.Found, otherPort bool) bool {
	if found.Deployment == nil || !children.NamesItsPort(found.Deployment) {
		return false
	}
	serving := int32(0)
	for _, pod := range found.Pods {
		if pod.DeletionTimestamp == nil && ready(pod) && children.OfTemplate(pod, found.Deployment) {
			serving++
		}
	}
	wanted := int32(1)
	if replicas := found.Deployment.Spec.Replicas; replicas != nil && !otherPort {
		wanted = *replicas
	}
	return serving >= wanted
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
type moves struct {
	mu    sync.Mutex
	steps map[string]step
}

type step struct {
	name  string
	since time.Time
}

func newMoves() *moves { return &moves{steps: map[string]step{}} }

// wait returns how long app has to stay at the step yet.
func (m *moves) wait(app, name string, now time.Time) time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.steps[app].name != name {
		m.steps[app] = step{name, now}
	}
	return max(0, m.steps[app].since.Add(noticed).Sub(now))
}

// forget is for a worker that is not on the way.
func (m *moves) forget(app string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.steps, app)
}

package reconcile

import (
	"cmp"
	"sync"
	"time"

	"golang.org/x/time/rate"
	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"app238.com/inner/modules/controller/internal/children"
	"app238.com/inner/modules/controller/workerapp"
)

// restartLimiter limits the rate of restarts that no deploy requested: an upgrade of Inner or a changed setting changes the pods
// of all workers at once.
type restartLimiter struct {
	limiter *rate.Limiter

	mu sync.Mutex
	at map[string]time.Time
}

func newRestartLimiter(perSecond float64) *restartLimiter {
	return &restartLimiter{limiter: rate.NewLimiter(rate.Limit(perSecond), 1), at: map[string]time.Time{}}
}

// wait returns how long until app may restart. After 0, its next restart needs a new reservation.
func (l *restartLimiter) wait(app string, now time.Time) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	at, reserved := l.at[app]
	if !reserved {
		at = now.Add(l.limiter.ReserveN(now, 1).DelayFrom(now))
		l.at[app] = at
	}
	if wait := at.Sub(now); wait > 0 {
		return wait
	}
	delete(l.at, app)
	return 0
}

// forget drops the reservation of a worker that needs no restart.
func (l *restartLimiter) forget(app string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.at, app)
}

// restartDelay returns how long the desired Deployment has to wait because it restarts pods: 0 if a changed spec requests that,
// or if the Deployment differs by drift only.
func (r *Reconciler) restartDelay(app *workerapp.WorkerApp, desired children.Child, live *appsv1.Deployment) time.Duration {
	if live == nil || !metav1.IsControlledBy(live, app) || !isUnrequestedRestart(desired.Object, live) {
		r.restartLimiter.forget(app.Name)
		return 0
	}
	return r.restartLimiter.wait(app.Name, r.now())
}

// isUnrequestedRestart reports whether the desired pod template differs from the last applied one although the WorkerApp and the
// pods' environment are the same.
func isUnrequestedRestart(desired *unstructured.Unstructured, live *appsv1.Deployment) bool {
	last, next := live.Annotations, desired.GetAnnotations()
	template, _, err := unstructured.NestedStringMap(desired.Object, "spec", "template", "metadata", "annotations")
	pods := live.Spec.Template.Annotations
	// An earlier release annotated only the Deployment with the version.
	nextVersion, version := template[workerapp.VersionAnnotation],
		cmp.Or(pods[workerapp.VersionAnnotation], last[workerapp.VersionAnnotation])
	return err == nil && last[children.GenerationAnnotation] == next[children.GenerationAnnotation] &&
		last[children.AppliedAnnotation] != next[children.AppliedAnnotation] &&
		pods[children.ContentAnnotation] == template[children.ContentAnnotation] &&
		(nextVersion == "" || version == "" || version == nextVersion) &&
		pods[children.TemplateAnnotation] != template[children.TemplateAnnotation]
}

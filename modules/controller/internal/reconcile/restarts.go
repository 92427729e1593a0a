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

// turns has workers whose pods nobody asked to be made anew take turns: an upgrade of Inner, or a changed setting, changes the
// pods of all of them at once.
type restartLimiter struct {
	limiter *rate.Limiter

	mu sync.Mutex
	at map[string]time.Time
}

func newRestartLimiter(perSecond float64) *restartLimiter {
	return &restartLimiter{limiter: rate.NewLimiter(rate.Limit(perSecond), 1), at: map[string]time.Time{}}
}

// wait returns how long it takes until it is app's turn; after 0 its next one is another.
func (t *restartLimiter) wait(app string, now time.Time) time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	at, waits := t.at[app]
	if !waits {
		at = now.Add(t.limiter.ReserveN(now, 1).DelayFrom(now))
		t.at[app] = at
	}
	if wait := at.Sub(now); wait > 0 {
		return wait
	}
	delete(t.at, app)
	return 0
}

// forget is for a worker that needs no turn.
func (t *restartLimiter) forget(app string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.at, app)
}

// turn returns how long the desired Deployment has to wait, which makes pods anew: 0 where that was asked for by a changed
// spec, or where the Deployment is as desired but for what somebody did to it.
func (r *Reconciler) restartDelay(app *workerapp.WorkerApp, desired children.Child, live *appsv1.Deployment) time.Duration {
	if live == nil || !metav1.IsControlledBy(live, app) || !isUnrequestedRestart(desired.Object, live) {
		r.restartLimiter.forget(app.Name)
		return 0
	}
	return r.restartLimiter.wait(app.Name, r.now())
}

// unasked tells whether what is desired differs from what Inner wrote last in the pods' template, though the WorkerApp and what
// the pods see are the same.
func isUnrequestedRestart(desired *unstructured.Unstructured, live *appsv1.Deployment) bool {
	was, has := live.Annotations, desired.GetAnnotations()
	template, _, err := unstructured.NestedStringMap(desired.Object, "spec", "template", "metadata", "annotations")
	pods := live.Spec.Template.Annotations
	// An earlier release wrote the version on the Deployment alone.
	next, current := template[workerapp.VersionAnnotation], cmp.Or(pods[workerapp.VersionAnnotation], was[workerapp.VersionAnnotation])
	return err == nil && was[children.GenerationAnnotation] == has[children.GenerationAnnotation] &&
		was[children.AppliedAnnotation] != has[children.AppliedAnnotation] &&
		pods[children.ContentAnnotation] == template[children.ContentAnnotation] &&
		(next == "" || current == "" || current == next) &&
		pods[children.TemplateAnnotation] != template[children.TemplateAnnotation]
}

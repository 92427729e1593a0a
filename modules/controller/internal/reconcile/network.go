package reconcile

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"app238.com/inner/modules/controller/internal/children"
	"app238.com/inner/modules/controller/internal/watch"
	"app238.com/inner/modules/controller/workerapp"
)

// servingPort returns the port to which requests are to be sent, and whether that is the wished one already. While a
// version with another port is rolled out, requests go to the port of the pods that serve: a Service without an address
// of its own cannot send to each pod's port. When the last of those pods goes, every object follows at once.
func servingPort(app *workerapp.WorkerApp, pods []*corev1.Pod) (port int32, settled bool) {
	for _, pod := range pods {
		serving, err := strconv.ParseInt(pod.Annotations[children.PortAnnotation], 10, 32)
		if err == nil && serving != app.Spec.Port && pod.DeletionTimestamp == nil && ready(pod) {
			return int32(serving), false
		}
	}
	return int32(app.Spec.Port), true
}

func ready(pod *corev1.Pod) bool {
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodReady {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}

// makeNetwork makes the way that requests take, and the budget of disruptions.
func (r *Reconciler) makeNetwork(ctx context.Context, app *workerapp.WorkerApp, found watch.Found, port int32) error {
	state := fmt.Sprint(app.UID, app.Generation, port,
		version(found.Service), version(found.External), version(found.Route), version(found.Budget))
	if r.checked.is(app.Name, state) {
		return nil
	}
	var errs []error
	changed := false
	one := func(c children.Child, err error, present map[string]any) {
		wrote, err := r.settle(ctx, app, c, present, err)
		changed = changed || wrote
		errs = append(errs, err)
	}
	service, err := r.builder.Service(app, port)
	one(service, err, live(found.Service))
	external, err := r.builder.External(app, port)
	one(external, err, live(found.External))
	route, err := r.builder.Route(app, port)
	one(route, err, live(found.Route))
	budget, err := r.builder.Budget(app)
	one(budget, err, live(found.Budget))
	if err := errors.Join(errs...); err != nil || changed {
		return err
	}
	r.checked.note(app.Name, state)
	return nil
}

// version tells apart the states of an object, also of one that is not there.
func version[T any, P interface {
	*T
	GetResourceVersion() string
	GetUID() types.UID
}](object P) string {
	if object == nil {
		return "none "
	}
	return string(object.GetUID()) + "/" + object.GetResourceVersion() + " "
}

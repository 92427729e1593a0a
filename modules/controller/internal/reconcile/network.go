package reconcile

import (
	"context"
	"errors"
	"strconv"

	corev1 "k8s.io/api/core/v1"

	"app238.com/inner/modules/controller/internal/children"
	"app238.com/inner/modules/controller/internal/watch"
	"app238.com/inner/modules/controller/workerapp"
)

// servingPort returns the port to which requests are to be sent, and whether that is the wished one already. While a
// version with another port is rolled out, requests go to the port of the pods that serve: a Service without an address
// of its own cannot send to each pod's port. When the last of those pods goes, every object follows at once.
func servingPort(app *workerapp.WorkerApp, pods []*corev1.Pod) (port int32, settled bool) {
	wished := int32(app.Spec.Port)
	for _, pod := range pods {
		serving, err := strconv.ParseInt(pod.Annotations[children.PortAnnotation], 10, 32)
		if err == nil && int32(serving) != wished && pod.DeletionTimestamp == nil && ready(pod) {
			return int32(serving), false
		}
	}
	return wished, true
}

func ready(pod *corev1.Pod) bool {
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodReady {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}

func (r *Reconciler) makeNetwork(ctx context.Context, app *workerapp.WorkerApp, found watch.Found, port int32) error {
	var errs []error
	one := func(c children.Child, err error, present map[string]any) {
		errs = append(errs, r.settle(ctx, app, c, present, err))
	}
	service, err := r.builder.Service(app, port)
	one(service, err, live(found.Service))
	external, err := r.builder.External(app, port)
	one(external, err, live(found.External))
	route, err := r.builder.Route(app, port)
	one(route, err, live(found.Route))
	budget, err := r.builder.Budget(app)
	one(budget, err, live(found.Budget))
	return errors.Join(errs...)
}

package reconcile

import (
	"context"
	"errors"

	"app238.com/inner/modules/controller/internal/children"
	"app238.com/inner/modules/controller/internal/watch"
	"app238.com/inner/modules/controller/workerapp"
)

// servingPort returns the port to which requests are to be sent, and whether that is the wished one already. While a
// version with another port is rolled out, requests go to the port of the pods that serve: a Service without an address
// of its own cannot send to each pod's port. When the rollout is complete, every object follows at once.
func servingPort(app *workerapp.WorkerApp, found watch.Found) (port int32, settled bool) {
	wished := int32(app.Spec.Port)
	if found.Deployment == nil || found.Service == nil || found.External == nil {
		return wished, true
	}
	inside, outside := found.Service.Spec.Ports, found.External.Spec.Ports
	if len(inside) != 1 || len(outside) != 1 || inside[0].Port != outside[0].Port || inside[0].Port == wished {
		return wished, true
	}
	return inside[0].Port, false
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

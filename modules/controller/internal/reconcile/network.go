package reconcile

import (
	"context"
	"errors"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"app238.com/inner/modules/controller/internal/cache"
	"app238.com/inner/modules/controller/internal/children"
	"app238.com/inner/modules/controller/workerapp"
)

// makeNetwork makes the way that requests take, and the budget of disruptions. It returns after how long to look again, 0
// where only a change is an occasion.
func (r *Reconciler) makeNetwork(ctx context.Context, app *workerapp.WorkerApp, found cache.Found) (time.Duration, error) {
	way, again := r.way(app.Name, app.Spec.Port, found)
	state := fmt.Sprint(app.UID, app.Generation, way,
		version(found.Service), version(found.Former), version(found.External), version(found.Route), version(found.Budget))
	if r.checked.is(app.Name, state) {
		return again, nil
	}
	var errs []error
	changed := false
	one := func(c children.Child, err error, present map[string]any) {
		wrote, err := r.settle(ctx, app, c, present, err)
		changed = changed || wrote
		errs = append(errs, err)
	}
	service, err := r.builder.Service(app, way)
	one(service, err, live(found.Service))
	external, err := r.builder.External(app, way)
	one(external, err, live(found.External))
	route, err := r.builder.Route(app, way)
	one(route, err, live(found.Route))
	budget, err := r.builder.Budget(app)
	one(budget, err, live(found.Budget))
	err = errors.Join(errs...)
	if err == nil && !changed && found.Former != nil && way == children.Moved() {
		changed, err = true, r.drop(ctx, app.Name, children.Services(), found.Former)
	}
	if err != nil || changed {
		return again, err
	}
	r.checked.note(app.Name, state)
	return again, nil
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

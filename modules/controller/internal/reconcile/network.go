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
func (r *Reconciler) reconcileNetwork(ctx context.Context, app *workerapp.WorkerApp, actual cache.Actual) (time.Duration, error) {
	migration, requeueAfter := r.migration(app.Name, app.Spec.Port, actual)
	state := fmt.Sprint(app.UID, app.Generation, migration,
		version(actual.Service), version(actual.Legacy), version(actual.External), version(actual.Route), version(actual.Budget))
	if r.unchanged.has(app.Name, state) {
		return requeueAfter, nil
	}
	var errs []error
	changed := false
	reconcileOne := func(c children.Child, err error, live map[string]any) {
		expectWrite, err := r.applyOrDelete(ctx, app, c, live, err)
		changed = changed || expectWrite
		errs = append(errs, err)
	}
	service, err := r.builder.Service(app, migration)
	reconcileOne(service, err, toContent(actual.Service))
	external, err := r.builder.External(app, migration)
	reconcileOne(external, err, toContent(actual.External))
	route, err := r.builder.Route(app, migration)
	reconcileOne(route, err, toContent(actual.Route))
	budget, err := r.builder.Budget(app)
	reconcileOne(budget, err, toContent(actual.Budget))
	err = errors.Join(errs...)
	if err == nil && !changed && actual.Legacy != nil && migration == children.Migrated() {
		changed, err = true, r.deleteObject(ctx, app.Name, children.Services(), actual.Legacy)
	}
	if err != nil || changed {
		return requeueAfter, err
	}
	r.unchanged.set(app.Name, state)
	return requeueAfter, nil
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

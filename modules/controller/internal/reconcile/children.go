package reconcile

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"app238.com/inner/app/guard"
	"app238.com/inner/modules/controller/internal/cache"
	"app238.com/inner/modules/controller/internal/children"
	"app238.com/inner/modules/controller/internal/conditions"
	"app238.com/inner/modules/controller/workerapp"
)

// reconcileChildren applies every child and returns the state of the rollout. Children that do not depend on the environment are
// applied even while the database is unavailable.
func (r *Reconciler) reconcileChildren(ctx context.Context, app *workerapp.WorkerApp,
	actual cache.Actual) (conditions.State, time.Duration, error) {
	pods, contentErr := r.desiredContent(ctx, app, actual)
	if _, ok := asStalled(contentErr); ok {
		return conditions.State{}, 0, contentErr
	}
	var network sync.WaitGroup
	var migrationRequeue time.Duration
	var networkErr error
	network.Go(func() {
		networkErr = guard.Call(func() (err error) {
			migrationRequeue, err = r.reconcileNetwork(ctx, app, actual)
			return err
		})
	})
	var state conditions.State
	var requeueAfter time.Duration
	err := contentErr
	if err == nil {
		state, requeueAfter, err = r.reconcileRollout(ctx, app, actual, pods)
	}
	network.Wait()
	return state, shorterWait(requeueAfter, migrationRequeue), errors.Join(err, networkErr)
}

// shorterWait returns the shorter of two waits; 0 is no wait.
func shorterWait(a, b time.Duration) time.Duration {
	if a == 0 || b == 0 {
		return max(a, b)
	}
	return min(a, b)
}

// reconcileNetwork reconciles the Services, the route and the disruption budget. It returns when to requeue, 0 if only a change
// requires it.
func (r *Reconciler) reconcileNetwork(ctx context.Context, app *workerapp.WorkerApp, actual cache.Actual) (time.Duration, error) {
	migration, requeueAfter := r.migration(app.Name, app.Spec.Port, actual)
	state := fmt.Sprint(app.UID, app.Generation, migration,
		version(actual.Service), version(actual.Legacy), version(actual.External), version(actual.Route), version(actual.Budget))
	if r.unchanged.has(app.Name, state) {
		return requeueAfter, nil
	}
	var errs []error
	changed := false
	for _, object := range []struct {
		build func() (children.Child, error)
		live  map[string]any
	}{
		{func() (children.Child, error) { return r.builder.Service(app, migration) }, toContent(actual.Service)},
		{func() (children.Child, error) { return r.builder.External(app, migration) }, toContent(actual.External)},
		{func() (children.Child, error) { return r.builder.Route(app, migration) }, toContent(actual.Route)},
		{func() (children.Child, error) { return r.builder.Budget(app) }, toContent(actual.Budget)},
	} {
		c, err := object.build()
		if err == nil {
			var written bool
			written, err = r.applyOrDelete(ctx, app, c, object.live)
			changed = changed || written
		}
		errs = append(errs, err)
	}
	err := errors.Join(errs...)
	if err == nil && !changed && actual.Legacy != nil && migration == children.Migrated() {
		changed, err = true, r.deleteObject(ctx, app.Name, children.Services(), actual.Legacy)
	}
	if err != nil || changed {
		return requeueAfter, err
	}
	r.unchanged.set(app.Name, state)
	return requeueAfter, nil
}

// version identifies the state of an object, including a missing one.
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

// unchanged holds, for each WorkerApp, the versions of its network objects that had the desired content: a reconcile of the same
// versions need not build and compare them again. Each rollout and each resync reconciles several times.
type unchanged struct {
	mu     sync.Mutex
	states map[string]string
}

func newUnchanged() *unchanged { return &unchanged{states: map[string]string{}} }

func (u *unchanged) has(app, state string) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.states[app] == state
}

func (u *unchanged) set(app, state string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.states[app] = state
}

// forget drops a deleted WorkerApp.
func (u *unchanged) forget(app string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	delete(u.states, app)
}

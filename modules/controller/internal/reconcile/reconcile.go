// Package reconcile brings the cluster, for one WorkerApp at a time, from what is found to what is wished.
package reconcile

import (
	"context"
	"sync"
	"time"

	"go.uber.org/zap"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"app238.com/inner/app/config"
	"app238.com/inner/app/kube"
	"app238.com/inner/app/kube/workqueue"
	"app238.com/inner/modules/controller/internal/cache"
	"app238.com/inner/modules/controller/internal/children"
	"app238.com/inner/modules/controller/internal/conditions"
	"app238.com/inner/modules/controller/rollout"
	"app238.com/inner/modules/controller/workerapp"
)

// Reconciler works on one WorkerApp at a time for each name; several names may be worked on at once.
type Reconciler struct {
	builder   children.Builder
	unchanged *unchanged
	cache     *cache.Cache
	clients   *kube.Clients
	events    eventRecorder
	config    config.Controller
	log       *zap.Logger
	now       func() time.Time
	recorder  rollout.Recorder
	source    rollout.Source
	// timeout limits one question to the source or the recorder.
	timeout      time.Duration
	expectations *kube.Expectations
	// written holds the WorkerApps for which the reconcile under way wrote something.
	written        sync.Map
	migrationSteps *migrationSteps
	restartLimiter *restartLimiter
}

// Announcer tells the cluster's users what happened to a WorkerApp.
type eventRecorder interface {
	// Announce returns at once. The reason is one word in CamelCase.
	Event(app *workerapp.WorkerApp, warning bool, reason, message string)
}

// Params are what a Reconciler stands on.
type Params struct {
	Cache        *cache.Cache
	Clients      *kube.Clients
	Config       *config.Config
	Events       eventRecorder
	Log          *zap.Logger
	Recorder     rollout.Recorder
	Source       rollout.Source
	Expectations *kube.Expectations
}

// New makes a Reconciler.
func New(p Params) *Reconciler {
	namespaces := p.Config.Kubernetes.Namespaces
	return &Reconciler{
		builder: children.Builder{
			Domain: p.Config.Domain, WorkerNamespace: namespaces.Worker, IngressNamespace: namespaces.Ingress,
			CombinatorNamespace: namespaces.Combinator, ProgressDeadline: p.Config.Controller.ProgressDeadline,
			MinReady: p.Config.Controller.MinReady,
			Pods:     p.Config.Controller.Pods, NetworkPolicy: p.Config.Controller.NetworkPolicy,
		},
		unchanged: newUnchanged(), migrationSteps: newMigrationSteps(), restartLimiter: newRestartLimiter(p.Config.Controller.RestartsPerSecond),
		cache: p.Cache, clients: p.Clients, events: p.Events, config: p.Config.Controller, log: p.Log, now: time.Now,
		recorder: p.Recorder, source: p.Source, expectations: p.Expectations,
		timeout: p.Config.Database.ConnectTimeout + p.Config.Database.StatementTimeout,
	}
}

// Reconcile works on the WorkerApp of that name.
func (r *Reconciler) Reconcile(ctx context.Context, name string) (workqueue.Result, error) {
	requeueAfter, err := r.reconcile(ctx, name)
	_, expectWrite := r.written.LoadAndDelete(name)
	return workqueue.Result{RequeueAfter: requeueAfter, Written: expectWrite}, err
}

func (r *Reconciler) reconcile(ctx context.Context, name string) (time.Duration, error) {
	if wait := r.expectations.Remaining(name, r.cache.ResourceVersion, r.now()); wait > 0 {
		return wait, nil
	}
	u := r.cache.App(name)
	switch {
	case u == nil:
		return 0, r.cleanupOrphans(ctx, name)
	case u.GetDeletionTimestamp() != nil:
		return 0, r.finalize(ctx, u)
	default:
		return r.reconcileApp(ctx, u)
	}
}

// ensure makes what is desired and reports how it stands.
func (r *Reconciler) reconcileApp(ctx context.Context, u *unstructured.Unstructured) (time.Duration, error) {
	app, err := workerapp.FromUnstructured(u)
	actual := r.cache.Children(app.Name)
	if finalizerErr := r.ensureFinalizer(ctx, app); finalizerErr != nil {
		return r.reportError(ctx, app, actual.Deployment, ignoreNotFound(finalizerErr))
	}
	if err == nil {
		err = app.Validate()
	}
	if err != nil {
		return r.reportError(ctx, app, actual.Deployment, &stalledError{reason: conditions.InvalidSpec, message: err.Error()})
	}
	if cacheStale, err := r.cacheStale(ctx, app, actual.Deployment); err != nil || cacheStale {
		return staleRequeue, ignoreNotFound(err)
	}
	state, requeueAfter, err := r.reconcileChildren(ctx, app, actual)
	if err != nil {
		return r.reportError(ctx, app, actual.Deployment, err)
	}
	if wait := conditions.ReportDelay(app, state, r.now()); wait > 0 {
		return wait, nil // again is zero while nothing is suspected
	}
	return requeueAfter, r.report(ctx, app, state)
}

// raced turns the errors of an expected race into none: the WorkerApp is gone, and its event brings the next look.
func ignoreNotFound(err error) error {
	if apierrors.IsNotFound(err) {
		return nil
	}
	return err
}

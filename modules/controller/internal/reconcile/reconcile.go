// Package reconcile brings the objects of a WorkerApp from their actual to their desired state.
package reconcile

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"time"

	"go.uber.org/zap"
	appsv1 "k8s.io/api/apps/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"app238.com/inner/app/config"
	"app238.com/inner/app/kube"
	"app238.com/inner/app/kube/workqueue"
	"app238.com/inner/modules/controller/internal/cache"
	"app238.com/inner/modules/controller/internal/children"
	"app238.com/inner/modules/controller/internal/conditions"
	"app238.com/inner/modules/controller/internal/events"
	"app238.com/inner/modules/controller/rollout"
	"app238.com/inner/modules/controller/workerapp"
)

// Reconciler reconciles WorkerApps. Calls for different names may run concurrently, calls for one name must not.
type Reconciler struct {
	builder   children.Builder
	unchanged *unchanged
	cache     *cache.Cache
	clients   *kube.Clients
	events    *events.Recorder
	config    config.Controller
	log       *zap.Logger
	now       func() time.Time
	recorder  rollout.Recorder
	source    rollout.Source
	// timeout limits each call of source and recorder.
	timeout      time.Duration
	expectations *kube.Expectations
	// written holds the names whose running reconcile has written to the cluster.
	written        sync.Map
	migrationSteps *migrationSteps
	restartLimiter *restartLimiter
}

// Params are the dependencies of a Reconciler.
type Params struct {
	Cache        *cache.Cache
	Clients      *kube.Clients
	Config       *config.Config
	Events       *events.Recorder
	Log          *zap.Logger
	Recorder     rollout.Recorder
	Source       rollout.Source
	Expectations *kube.Expectations
}

// New returns a Reconciler.
func New(p Params) *Reconciler {
	namespaces := p.Config.Kubernetes.Namespaces
	return &Reconciler{
		builder: children.Builder{
			Domain: p.Config.Domain, WorkerNamespace: namespaces.Worker, IngressNamespace: namespaces.Ingress,
			CombinatorNamespace: namespaces.Combinator, ProgressDeadline: p.Config.Controller.ProgressDeadline,
			MinReady: p.Config.Controller.MinReady,
			Pods:     p.Config.Controller.Pods, NetworkPolicy: p.Config.Controller.NetworkPolicy,
		},
		unchanged: newUnchanged(), migrationSteps: newMigrationSteps(),
		restartLimiter: newRestartLimiter(p.Config.Controller.RestartsPerSecond),
		cache:          p.Cache, clients: p.Clients, events: p.Events, config: p.Config.Controller, log: p.Log, now: time.Now,
		recorder: p.Recorder, source: p.Source, expectations: p.Expectations,
		timeout: p.Config.Database.ConnectTimeout + p.Config.Database.StatementTimeout,
	}
}

// Reconcile reconciles the WorkerApp with this name, or cleans up after it.
func (r *Reconciler) Reconcile(ctx context.Context, name string) (workqueue.Result, error) {
	requeueAfter, err := r.reconcile(ctx, name)
	_, written := r.written.LoadAndDelete(name)
	return workqueue.Result{RequeueAfter: requeueAfter, Written: written}, err
}

func (r *Reconciler) reconcile(ctx context.Context, name string) (time.Duration, error) {
	if wait := r.expectations.Remaining(name, r.cache.ResourceVersion, r.now()); wait > 0 {
		return wait, nil
	}
	app, malformed := r.cache.App(name)
	switch {
	case app == nil:
		return 0, r.cleanupOrphans(ctx, name)
	case app.DeletionTimestamp != nil:
		return 0, r.finalize(ctx, app)
	default:
		return r.reconcileApp(ctx, app, malformed)
	}
}

// reconcileApp reconciles the children of an existing WorkerApp and reports its state. A malformed WorkerApp has an error.
func (r *Reconciler) reconcileApp(ctx context.Context, app *workerapp.WorkerApp, malformed error) (time.Duration, error) {
	actual := r.cache.Children(app.Name)
	if err := r.ensureFinalizer(ctx, app); err != nil {
		return r.reportError(ctx, app, actual.Deployment, ignoreNotFound(err))
	}
	err := malformed
	if err == nil {
		err = app.Validate()
	}
	if err != nil {
		return r.reportError(ctx, app, actual.Deployment, &stalledError{reason: conditions.InvalidSpec, message: err.Error()})
	}
	if stale, err := r.cacheStale(ctx, app, actual.Deployment); err != nil || stale {
		return staleRequeue, ignoreNotFound(err)
	}
	state, requeueAfter, err := r.reconcileChildren(ctx, app, actual)
	if err != nil {
		return r.reportError(ctx, app, actual.Deployment, err)
	}
	if wait := conditions.ReportDelay(app, state, r.now()); wait > 0 {
		return wait, nil // requeueAfter is zero in this state
	}
	return requeueAfter, r.report(ctx, app, state)
}

// ignoreNotFound ignores that the WorkerApp was deleted concurrently: the deletion event triggers the next reconcile.
func ignoreNotFound(err error) error {
	if apierrors.IsNotFound(err) {
		return nil
	}
	return err
}

// staleRequeue is the delay after a reconcile with a stale cache, unless an event comes first.
const staleRequeue = 200 * time.Millisecond

// cacheStale reports whether the cached WorkerApp is older than the one that the Deployment was built from, as it may be right
// after a change of leader: an older version would replace a newer one. A new version of the same image does not change the
// generation. The Deployment's annotations are not trusted alone, since they may be edited.
func (r *Reconciler) cacheStale(ctx context.Context, app *workerapp.WorkerApp, deployment *appsv1.Deployment) (bool, error) {
	if deployment == nil || !metav1.IsControlledBy(deployment, app) {
		return false, nil
	}
	rolledFor := deployment.Spec.Template.Annotations[workerapp.VersionAnnotation]
	if deploymentGeneration(deployment) <= app.Generation &&
		(rolledFor == "" || rolledFor == app.Annotations[workerapp.VersionAnnotation]) {
		return false, nil
	}
	live, err := r.clients.Get(ctx, workerapp.Resource(), app.Namespace, app.Name)
	if err != nil {
		return false, fmt.Errorf("read the WorkerApp: %w", err)
	}
	return live.GetGeneration() > app.Generation || workerapp.OriginOf(live.GetAnnotations()) != workerapp.OriginOf(app.Annotations),
		nil
}

// deploymentGeneration returns the generation in the Deployment's annotations; 0 if there is none.
func deploymentGeneration(deployment *appsv1.Deployment) int64 {
	generation, err := strconv.ParseInt(deployment.Annotations[children.GenerationAnnotation], 10, 64)
	if err != nil {
		return 0
	}
	return generation
}

package reconcile

import (
	"context"
	"fmt"
	"strconv"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"app238.com/inner/modules/controller/internal/children"
	"app238.com/inner/modules/controller/workerapp"
)

// behindWait is after how long a cache that was behind is looked at again, where no event comes before.
const staleRequeue = 200 * time.Millisecond

// behind tells whether the cache shows an older WorkerApp than the one that the Deployment was made of, as it may right
// after another process led: an older version would overtake the newer one. A version of the same image is no new generation.
// That the notes on the Deployment say so is not enough, for somebody may have edited them.
func (r *Reconciler) cacheStale(ctx context.Context, app *workerapp.WorkerApp, deployment *appsv1.Deployment) (bool, error) {
	if deployment == nil || !metav1.IsControlledBy(deployment, app) {
		return false, nil
	}
	rolledFor := deployment.Spec.Template.Annotations[workerapp.VersionAnnotation]
	if deploymentGeneration(deployment) <= app.Generation && (rolledFor == "" || rolledFor == app.Annotations[workerapp.VersionAnnotation]) {
		return false, nil
	}
	now, err := r.clients.Get(ctx, workerapp.Resource(), app.Namespace, app.Name)
	if err != nil {
		return false, fmt.Errorf("look at the WorkerApp: %w", err)
	}
	return now.GetGeneration() > app.Generation || workerapp.OriginOf(now.GetAnnotations()) != workerapp.OriginOf(app.Annotations), nil
}

// noted returns the generation that the Deployment notes; 0 where it notes none.
func deploymentGeneration(deployment *appsv1.Deployment) int64 {
	generation, err := strconv.ParseInt(deployment.Annotations[children.GenerationAnnotation], 10, 64)
	if err != nil {
		return 0
	}
	return generation
}

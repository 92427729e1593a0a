package reconcile

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"go.uber.org/zap"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"app238.com/inner/modules/controller/internal/children"
	"app238.com/inner/modules/controller/internal/diff"
	"app238.com/inner/modules/controller/internal/status"
	"app238.com/inner/modules/controller/internal/watch"
	"app238.com/inner/modules/controller/workerapp"
)

// refusalLength is how much of the API server's words goes into a status.
const refusalLength = 500

// apply writes c unless present, the live object, already holds all of it. It returns the object as it then is.
func (r *Reconciler) apply(ctx context.Context, app *workerapp.WorkerApp, c children.Child, present map[string]any) (map[string]any, error) {
	if !diff.Needed(c.Object.Object, present) {
		return present, nil
	}
	written, err := r.clients.Apply(ctx, c.Resource, c.Object)
	if apierrors.IsInvalid(err) && c.Replaceable && present != nil {
		// Somebody made it with a value that can never be changed again, like a Service with an address.
		r.log.Info("replacing an object that cannot be changed", zap.String("app", app.Name), zap.String("kind", c.Object.GetKind()))
		if err = r.clients.Delete(ctx, c.Resource, c.Object.GetNamespace(), c.Object.GetName()); err == nil {
			written, err = r.clients.Apply(ctx, c.Resource, c.Object)
		}
	}
	if apierrors.IsInvalid(err) || apierrors.IsBadRequest(err) {
		return nil, refusal(c, err)
	}
	if err != nil {
		return nil, fmt.Errorf("apply %s %s: %w", c.Object.GetKind(), c.Object.GetName(), err)
	}
	r.wrote(app.Name, ref(c), written)
	return written.Object, nil
}

// dropForeignKeys removes the keys of the ConfigMap that the user's environment does not hold: pods would see them, and
// server-side apply leaves what it did not write.
func (r *Reconciler) dropForeignKeys(ctx context.Context, app *workerapp.WorkerApp, c children.Child, present map[string]any, env map[string]string) error {
	patch := map[string]any{}
	for _, field := range []string{"data", "binaryData"} {
		values, _, err := unstructured.NestedMap(present, field)
		if err != nil {
			return fmt.Errorf("read %s %s: %w", c.Object.GetKind(), c.Object.GetName(), err)
		}
		removed := map[string]any{}
		for key := range values {
			if _, wished := env[key]; !wished || field == "binaryData" {
				removed[key] = nil
			}
		}
		if len(removed) > 0 {
			patch[field] = removed
		}
	}
	if len(patch) == 0 {
		return nil
	}
	encoded, err := json.Marshal(patch)
	if err != nil {
		return fmt.Errorf("patch %s: %w", c.Object.GetKind(), err)
	}
	written, err := r.clients.MergePatch(ctx, c.Resource, c.Object.GetNamespace(), c.Object.GetName(), encoded)
	if err != nil {
		return fmt.Errorf("patch %s %s: %w", c.Object.GetKind(), c.Object.GetName(), err)
	}
	r.wrote(app.Name, ref(c), written)
	return nil
}

func (r *Reconciler) wrote(app string, ref watch.Ref, written *unstructured.Unstructured) {
	r.writes.Expect(app, ref, written.GetResourceVersion(), r.now())
}

func ref(c children.Child) watch.Ref {
	return watch.Ref{Resource: c.Resource, Namespace: c.Object.GetNamespace(), Name: c.Object.GetName()}
}

// refusal makes a fault of the API server's refusal, which is tried again all the same: its rules may change.
func refusal(c children.Child, err error) error {
	return &fault{
		reason:  status.Refused,
		message: fmt.Sprintf("the cluster refuses the %s: %s", c.Object.GetKind(), refusalText(c, err)),
		cause:   fmt.Errorf("apply %s %s: %w", c.Object.GetKind(), c.Object.GetName(), err),
	}
}

// refusalText tells fields and kinds of faults alone where the object holds an environment: the API server's own words
// may repeat a value.
func refusalText(c children.Child, err error) string {
	var refused apierrors.APIStatus
	if !errors.As(err, &refused) {
		return "no reason given"
	}
	text := refused.Status().Message
	if c.Resource == children.ConfigMaps() || c.Resource == children.Secrets() {
		var faults []string
		if details := refused.Status().Details; details != nil {
			for _, cause := range details.Causes {
				faults = append(faults, cause.Field+": "+string(cause.Type))
			}
		}
		text = strings.Join(faults, ", ")
	}
	if runes := []rune(text); len(runes) > refusalLength {
		return string(runes[:refusalLength]) + "…"
	}
	return text
}

// live returns the object as the API writes it, nil where there is none.
func live[T any](object *T) map[string]any {
	if object == nil {
		return nil
	}
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(object)
	if err != nil {
		return nil
	}
	return content
}

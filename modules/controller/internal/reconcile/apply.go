package reconcile

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"

	"go.uber.org/zap"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"app238.com/inner/app/kube"
	"app238.com/inner/modules/controller/internal/children"
	"app238.com/inner/modules/controller/internal/diff"
	"app238.com/inner/modules/controller/internal/status"
	"app238.com/inner/modules/controller/internal/watch"
	"app238.com/inner/modules/controller/workerapp"
)

// refusalLength is how much of the API server's words goes into a status.
const refusalLength = 500

// settle applies c, or removes it where it is unwanted, and tells whether there was anything to do. err is that of building
// it.
func (r *Reconciler) settle(ctx context.Context, app *workerapp.WorkerApp, c children.Child, present map[string]any, err error) (changed bool, _ error) {
	switch {
	case err != nil || c.Withheld:
		return false, err
	case c.Unwanted:
		return appliedHash(present) != "", r.remove(ctx, app, c, present)
	}
	if !needed(c, present) {
		return false, nil
	}
	_, err = r.put(ctx, app, c, present)
	return true, err
}

// needed tells whether present, the live object, lacks anything of c, or holds what somebody else added.
func needed(c children.Child, present map[string]any) bool {
	return isForeign(present) || diff.Needed(c.Object.Object, present)
}

func isForeign(present map[string]any) bool {
	return annotation(present, watch.ForeignAnnotation) != ""
}

// remove deletes an object of the wished one's name, if it was Inner that made it.
func (r *Reconciler) remove(ctx context.Context, app *workerapp.WorkerApp, c children.Child, present map[string]any) error {
	if appliedHash(present) == "" {
		return nil
	}
	return r.drop(ctx, app.Name, c.Resource, c.Object)
}

func (r *Reconciler) drop(ctx context.Context, app string, resource schema.GroupVersionResource, object metav1.Object) error {
	if err := r.clients.Delete(ctx, resource, object.GetNamespace(), object.GetName()); err != nil {
		return fmt.Errorf("delete %s %s: %w", resource.Resource, object.GetName(), err)
	}
	r.writes.ExpectGone(app, kube.Ref{Resource: resource, Namespace: object.GetNamespace(), Name: object.GetName()}, r.now())
	r.written.Store(app, true)
	return nil
}

// apply writes c unless present, the live object, already holds all of it. It returns the object as it then is.
func (r *Reconciler) apply(ctx context.Context, app *workerapp.WorkerApp, c children.Child, present map[string]any) (map[string]any, error) {
	if !needed(c, present) {
		return present, nil
	}
	return r.put(ctx, app, c, present)
}

func (r *Reconciler) put(ctx context.Context, app *workerapp.WorkerApp, c children.Child, present map[string]any) (map[string]any, error) {
	written, err := r.write(ctx, app, c, present)
	if apierrors.IsInvalid(err) || apierrors.IsBadRequest(err) {
		return nil, refusal(c, err)
	}
	if err != nil {
		return nil, fmt.Errorf("apply %s %s: %w", c.Object.GetKind(), c.Object.GetName(), err)
	}
	r.wrote(app.Name, ref(c), written)
	r.announceHealing(app, c, present)
	return written.Object, nil
}

func (r *Reconciler) write(ctx context.Context, app *workerapp.WorkerApp, c children.Child, present map[string]any) (*unstructured.Unstructured, error) {
	written, err := r.clients.Apply(ctx, c.Resource, c.Object)
	switch {
	case err == nil && isForeign(present):
		return r.dropForeignFields(ctx, app, c, written)
	case apierrors.IsInvalid(err) && c.Replaceable && present != nil:
		return r.replace(ctx, app, c, &unstructured.Unstructured{Object: present}, err)
	}
	return written, err
}

// replace is for an object that cannot become what is desired with what others wrote into it, as refused says. A Service that can
// do without loses that and keeps its address; all else is made anew where that helps.
func (r *Reconciler) replace(ctx context.Context, app *workerapp.WorkerApp, c children.Child, live *unstructured.Unstructured, refused error) (*unstructured.Unstructured, error) {
	if c.Resource == children.Services() {
		written, err := r.dropForeignFields(ctx, app, c, live)
		if !apierrors.IsInvalid(err) {
			return written, err
		}
	}
	written, err := r.clients.Recreate(ctx, c.Resource, c.Object, refused)
	if err == nil {
		r.log.Info("replaced an object that cannot be changed", zap.String("app", app.Name), zap.String("kind", c.Object.GetKind()))
	}
	return written, err
}

func (r *Reconciler) wrote(app string, ref kube.Ref, written *unstructured.Unstructured) {
	r.writes.Expect(app, ref, written.GetResourceVersion(), r.now())
	r.written.Store(app, true)
}

func ref(c children.Child) kube.Ref {
	return kube.Ref{Resource: c.Resource, Namespace: c.Object.GetNamespace(), Name: c.Object.GetName()}
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
				if cause.Field != "" {
					faults = append(faults, cause.Field+": "+string(cause.Type))
				}
			}
		}
		text = cmp.Or(strings.Join(faults, ", "), "one of its rules ("+string(refused.Status().Reason)+"); its words are in Inner's log")
	}
	text = status.Public(text)
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

func annotation(object map[string]any, key string) string {
	value, _, err := unstructured.NestedString(object, "metadata", "annotations", key)
	if err != nil {
		return ""
	}
	return value
}

func appliedHash(object map[string]any) string { return annotation(object, children.AppliedAnnotation) }

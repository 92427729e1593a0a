package kube

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Recreate deletes an object that the API server refused to change into obj, and makes it anew. It does so only where refused,
// the API server's error, is about fields and the API server says that it would take obj as a new object: what a policy, a
// quota or a limit of size refuses would be refused again, and what serves would be gone. Then the object stays, and the error
// is refused, with the reason why a new one would not be taken.
func (c *Clients) Recreate(ctx context.Context, resource schema.GroupVersionResource, obj *unstructured.Unstructured, refused error) (*unstructured.Unstructured, error) {
	if !aboutFields(refused) {
		return nil, refused
	}
	if err := c.tryCreate(ctx, resource, obj); err != nil {
		return nil, fmt.Errorf("%w (nor could it be made anew: %w)", refused, err)
	}
	if err := c.Delete(ctx, resource, obj.GetNamespace(), obj.GetName()); err != nil {
		return nil, err
	}
	return c.Apply(ctx, resource, obj)
}

// tryCreate asks the API server whether it would make obj, under a name that nothing has.
func (c *Clients) tryCreate(ctx context.Context, resource schema.GroupVersionResource, obj *unstructured.Unstructured) error {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	dryRun := obj.DeepCopy()
	dryRun.SetName("dry-run-" + strings.ToLower(rand.Text()))
	_, err := c.Dynamic.Resource(resource).Namespace(dryRun.GetNamespace()).Apply(ctx, dryRun.GetName(), dryRun,
		metav1.ApplyOptions{DryRun: []string{metav1.DryRunAll}, FieldManager: FieldManager, Force: true})
	return err
}

// ofValues returns the causes of a refusal which another object may not have: a value that cannot be changed, and one that another
// part of the object, which somebody added, has too.
func fieldCauses() []metav1.CauseType {
	return []metav1.CauseType{metav1.CauseTypeFieldValueInvalid, metav1.CauseTypeForbidden, metav1.CauseTypeFieldValueDuplicate}
}

// aboutFields tells whether the API server refused values of fields, as it does where one cannot be changed. A policy that
// refuses names no field, and what is too large or missing is so in a new object too.
func aboutFields(refused error) bool {
	var status apierrors.APIStatus
	if !apierrors.IsInvalid(refused) || !errors.As(refused, &status) {
		return false
	}
	details := status.Status().Details
	if details == nil || len(details.Causes) == 0 {
		return false
	}
	for _, cause := range details.Causes {
		if cause.Field == "" || cause.Field == "<nil>" || !slices.Contains(fieldCauses(), cause.Type) {
			return false
		}
	}
	return true
}

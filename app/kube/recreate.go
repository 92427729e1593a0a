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

// Recreate deletes seen, an object that the API server refused to update to obj, and creates it again. It does so only if
// refused, the API server's error, is about fields, or nil if the API server kept a value silently, and a dry run shows that obj
// would be accepted as a new object: what a policy, a quota or a size limit rejects would be rejected again, and a serving object
// would be lost. Otherwise the object stays, and the error is refused with the error of the dry run. If the object was changed or
// replaced since it was seen, it stays too, and the error is a conflict.
func (c *Clients) Recreate(ctx context.Context, resource schema.GroupVersionResource, obj, seen *unstructured.Unstructured,
	refused error) (*unstructured.Unstructured, error) {
	if refused != nil && !aboutFields(refused) {
		return nil, refused
	}
	switch err := c.tryCreate(ctx, resource, obj); {
	case err != nil && refused != nil:
		return nil, fmt.Errorf("%w (it cannot be recreated either: %w)", refused, err)
	case err != nil:
		return nil, err
	}
	uid, version := seen.GetUID(), seen.GetResourceVersion()
	if err := c.DeleteSeen(ctx, resource, obj.GetNamespace(), obj.GetName(),
		metav1.Preconditions{UID: &uid, ResourceVersion: &version}); err != nil {
		return nil, err
	}
	return c.Apply(ctx, resource, obj)
}

// tryCreate creates obj under an unused name in a dry run.
func (c *Clients) tryCreate(ctx context.Context, resource schema.GroupVersionResource, obj *unstructured.Unstructured) error {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	dryRun := obj.DeepCopy()
	dryRun.SetName("dry-run-" + strings.ToLower(rand.Text()))
	_, err := c.Dynamic.Resource(resource).Namespace(dryRun.GetNamespace()).Apply(ctx, dryRun.GetName(), dryRun,
		metav1.ApplyOptions{DryRun: []string{metav1.DryRunAll}, FieldManager: FieldManager, Force: true})
	return err
}

// fieldCauses returns the causes of a rejection that a new object may not have: an immutable value, and a duplicate of a value
// that somebody added to the object.
func fieldCauses() []metav1.CauseType {
	return []metav1.CauseType{metav1.CauseTypeFieldValueInvalid, metav1.CauseTypeForbidden, metav1.CauseTypeFieldValueDuplicate}
}

// aboutFields reports whether the API server rejected values of fields, as it does for immutable ones. A policy's rejection
// names no field, and what is too large or missing is so in a new object too.
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

package kube

import (
	"context"
	"errors"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
)

// Apply writes obj by server-side apply and takes ownership of conflicting fields.
func (c *Clients) Apply(ctx context.Context, resource schema.GroupVersionResource,
	obj *unstructured.Unstructured) (*unstructured.Unstructured, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	return c.Dynamic.Resource(resource).Namespace(obj.GetNamespace()).
		Apply(ctx, obj.GetName(), obj, metav1.ApplyOptions{FieldManager: FieldManager, Force: true})
}

// MergePatch changes the patch's fields of one object, or of its subresource, and returns the updated object. It does what
// server-side apply cannot: require a resourceVersion, and remove fields of other field managers.
func (c *Clients) MergePatch(ctx context.Context, resource schema.GroupVersionResource, namespace, name string, patch []byte,
	subresource ...string) (*unstructured.Unstructured, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	return c.Dynamic.Resource(resource).Namespace(namespace).
		Patch(ctx, name, types.MergePatchType, patch, metav1.PatchOptions{FieldManager: FieldManager}, subresource...)
}

// Replace updates the whole object if it still has obj's resourceVersion: fields missing in obj are removed, whoever owns
// them.
func (c *Clients) Replace(ctx context.Context, resource schema.GroupVersionResource,
	obj *unstructured.Unstructured) (*unstructured.Unstructured, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	return c.Dynamic.Resource(resource).Namespace(obj.GetNamespace()).Update(ctx, obj,
		metav1.UpdateOptions{FieldManager: FieldManager})
}

// Get reads one object from the API server.
func (c *Clients) Get(ctx context.Context, resource schema.GroupVersionResource, namespace,
	name string) (*unstructured.Unstructured, error) {
	if c.missing != nil {
		return nil, c.missing
	}
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	return c.Dynamic.Resource(resource).Namespace(namespace).Get(ctx, name, metav1.GetOptions{})
}

// Find reads one object from the API server by a list, and returns nil if there is none. Unlike Get it needs the right to list
// only, which whoever watches a kind has.
func (c *Clients) Find(ctx context.Context, resource schema.GroupVersionResource, namespace,
	name string) (*unstructured.Unstructured, error) {
	found, err := c.List(ctx, resource, namespace,
		metav1.ListOptions{FieldSelector: fields.OneTermEqualSelector(metav1.ObjectNameField, name).String()})
	if err != nil || len(found.Items) == 0 {
		return nil, err
	}
	return &found.Items[0], nil
}

// Delete deletes one object with background propagation; a missing one is no error. With a uid it deletes that object only: it is
// no error either if another one has its name since, which the decision to delete was not about.
func (c *Clients) Delete(ctx context.Context, resource schema.GroupVersionResource, namespace, name string, uid types.UID) error {
	if uid == "" {
		return c.DeleteSeen(ctx, resource, namespace, name, metav1.Preconditions{})
	}
	err := c.DeleteSeen(ctx, resource, namespace, name, metav1.Preconditions{UID: &uid})
	if !apierrors.IsConflict(err) {
		return err
	}
	switch now, readErr := c.Find(ctx, resource, namespace, name); {
	case readErr != nil:
		return errors.Join(err, readErr)
	case now != nil && now.GetUID() == uid:
		return err
	}
	return nil
}

// DeleteSeen is Delete of an object as it was seen: it returns a conflict, see IsConflict, if the object is another or was
// changed.
func (c *Clients) DeleteSeen(ctx context.Context, resource schema.GroupVersionResource, namespace, name string,
	seen metav1.Preconditions) error {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	policy := metav1.DeletePropagationBackground
	err := c.Dynamic.Resource(resource).Namespace(namespace).Delete(ctx, name,
		metav1.DeleteOptions{PropagationPolicy: &policy, Preconditions: &seen})
	if apierrors.IsNotFound(err) {
		return nil
	}
	return err
}

// Create creates an object and fails if it exists. It is for objects whose fields belong to several writers: an apply would
// remove the fields that this writer does not name.
func (c *Clients) Create(ctx context.Context, resource schema.GroupVersionResource,
	obj *unstructured.Unstructured) (*unstructured.Unstructured, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	return c.Dynamic.Resource(resource).Namespace(obj.GetNamespace()).Create(ctx, obj,
		metav1.CreateOptions{FieldManager: FieldManager})
}

// List returns one page of a namespace's objects from the API server. Its continue token requests the next page.
func (c *Clients) List(ctx context.Context, resource schema.GroupVersionResource, namespace string,
	options metav1.ListOptions) (*unstructured.UnstructuredList, error) {
	if c.missing != nil {
		return nil, c.missing
	}
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	return c.Dynamic.Resource(resource).Namespace(namespace).List(ctx, options)
}

// ListMetadata is List with the objects' metadata only, for large or secret objects.
func (c *Clients) ListMetadata(ctx context.Context, resource schema.GroupVersionResource, namespace string,
	options metav1.ListOptions) (*metav1.PartialObjectMetadataList, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	return c.metadata.Resource(resource).Namespace(namespace).List(ctx, options)
}

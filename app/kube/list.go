package kube

import (
	"context"
	"encoding/json"
	"fmt"
	"path"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// List returns one page of the objects of a namespace, from the API server. What it says of Continue is for the next page.
func (c *Clients) List(ctx context.Context, resource schema.GroupVersionResource, namespace string, options metav1.ListOptions) (*unstructured.UnstructuredList, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	return c.Dynamic.Resource(resource).Namespace(namespace).List(ctx, options)
}

// onlyMetadata asks the API server to leave out everything but the metadata.
const onlyMetadata = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"

// ListMetadata is List without what the objects hold, for objects that are large, or secret.
func (c *Clients) ListMetadata(ctx context.Context, resource schema.GroupVersionResource, namespace string, options metav1.ListOptions) (*metav1.PartialObjectMetadataList, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	root := "/apis"
	if resource.Group == "" {
		root = "/api"
	}
	encoded, err := c.Typed.CoreV1().RESTClient().Get().
		AbsPath(path.Join(root, resource.Group, resource.Version, "namespaces", namespace, resource.Resource)).
		SpecificallyVersionedParams(&options, metav1.ParameterCodec, schema.GroupVersion{Version: "v1"}).
		SetHeader("Accept", onlyMetadata).Do(ctx).Raw()
	if err != nil {
		return nil, err
	}
	list := &metav1.PartialObjectMetadataList{}
	if err := json.Unmarshal(encoded, list); err != nil {
		return nil, fmt.Errorf("list of %s: %w", resource.Resource, err)
	}
	return list, nil
}

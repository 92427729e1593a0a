// Package kube holds the clients of the Kubernetes cluster and the one way in which Inner writes to it.
package kube

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	utilnet "k8s.io/apimachinery/pkg/util/net"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"app238.com/inner/app/config"
)

// FieldManager is the name under which Inner owns the fields that it applies.
const FieldManager = "inner-gateway"

// Clients are the cluster's clients. They share one rate limit and one connection pool.
type Clients struct {
	// Typed reads and watches the built-in kinds.
	Typed kubernetes.Interface
	// Dynamic reads and writes every kind.
	Dynamic dynamic.Interface
	// timeout limits one request.
	timeout time.Duration
}

// NewClients makes the clients from the configuration. It does not connect: a cluster that is away is found out by
// whoever asks it something.
func NewClients(c *config.Config) (*Clients, error) {
	rc, err := restConfig(c.Kubernetes.Kubeconfig)
	if err != nil {
		return nil, fmt.Errorf("kubernetes.kubeconfig: %w", err)
	}
	rc.QPS, rc.Burst = c.Kubernetes.QPS, c.Kubernetes.Burst
	rc.UserAgent = FieldManager
	client, err := rest.HTTPClientFor(rc)
	if err != nil {
		return nil, fmt.Errorf("kubernetes client: %w", err)
	}
	typed, err := kubernetes.NewForConfigAndClient(rc, client)
	if err != nil {
		return nil, fmt.Errorf("kubernetes client: %w", err)
	}
	dyn, err := dynamic.NewForConfigAndClient(rc, client)
	if err != nil {
		return nil, fmt.Errorf("kubernetes client: %w", err)
	}
	return &Clients{Typed: typed, Dynamic: dyn, timeout: c.Kubernetes.Timeout}, nil
}

// restConfig reads a kubeconfig; "" stands for the service account of the pod that this process runs in.
func restConfig(kubeconfig string) (*rest.Config, error) {
	if kubeconfig == "" {
		return rest.InClusterConfig()
	}
	return clientcmd.BuildConfigFromFlags("", kubeconfig)
}

// Apply writes obj by server-side apply, taking over fields that others changed.
func (c *Clients) Apply(ctx context.Context, resource schema.GroupVersionResource, obj *unstructured.Unstructured) (*unstructured.Unstructured, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	return c.Dynamic.Resource(resource).Namespace(obj.GetNamespace()).
		Apply(ctx, obj.GetName(), obj, metav1.ApplyOptions{FieldManager: FieldManager, Force: true})
}

// ApplyStatus writes the status of obj by server-side apply, through the status subresource.
func (c *Clients) ApplyStatus(ctx context.Context, resource schema.GroupVersionResource, obj *unstructured.Unstructured) error {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	_, err := c.Dynamic.Resource(resource).Namespace(obj.GetNamespace()).
		ApplyStatus(ctx, obj.GetName(), obj, metav1.ApplyOptions{FieldManager: FieldManager, Force: true})
	return err
}

// MergePatch changes the named fields of one object, or of its subresource, and returns the object as it then is. It is
// for what server-side apply cannot do: change a field only if the object is still the one that was looked at, and remove
// fields that others own.
func (c *Clients) MergePatch(ctx context.Context, resource schema.GroupVersionResource, namespace, name string, patch []byte, subresource ...string) (*unstructured.Unstructured, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	return c.Dynamic.Resource(resource).Namespace(namespace).
		Patch(ctx, name, types.MergePatchType, patch, metav1.PatchOptions{FieldManager: FieldManager}, subresource...)
}

// Get reads one object from the API server.
func (c *Clients) Get(ctx context.Context, resource schema.GroupVersionResource, namespace, name string) (*unstructured.Unstructured, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	return c.Dynamic.Resource(resource).Namespace(namespace).Get(ctx, name, metav1.GetOptions{})
}

// Delete removes one object; that it is not there is success.
func (c *Clients) Delete(ctx context.Context, resource schema.GroupVersionResource, namespace, name string) error {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	policy := metav1.DeletePropagationBackground
	err := c.Dynamic.Resource(resource).Namespace(namespace).Delete(ctx, name, metav1.DeleteOptions{PropagationPolicy: &policy})
	if apierrors.IsNotFound(err) {
		return nil
	}
	return err
}

// Ping asks the API server whether it is ready.
func (c *Clients) Ping(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	return c.Typed.Discovery().RESTClient().Get().AbsPath("/readyz").Do(ctx).Error()
}

// Unavailable tells whether err says that the API server is away or overloaded rather than that it refused the request.
func Unavailable(err error) bool {
	if err == nil {
		return false
	}
	var netErr net.Error
	return apierrors.IsServiceUnavailable(err) || apierrors.IsTooManyRequests(err) || apierrors.IsServerTimeout(err) ||
		apierrors.IsTimeout(err) || apierrors.IsInternalError(err) || apierrors.IsUnexpectedServerError(err) ||
		utilnet.IsConnectionRefused(err) || utilnet.IsConnectionReset(err) || utilnet.IsProbableEOF(err) ||
		errors.As(err, &netErr) || errors.Is(err, context.DeadlineExceeded)
}

// Refused tells whether err says that the API server found the object itself wrong: no repetition helps.
func Refused(err error) bool {
	return apierrors.IsInvalid(err) || apierrors.IsBadRequest(err)
}

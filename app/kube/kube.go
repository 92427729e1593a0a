// Package kube holds the clients of the Kubernetes cluster and the one way in which Inner writes to it.
package kube

import (
	"context"
	"fmt"
	"net/http"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/util/flowcontrol"

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
	// config and http are what the clients are made of; see derive.
	config *rest.Config
	http   *http.Client
}

// NewClients makes the clients from the configuration. It does not connect: a cluster that is away is found out by
// whoever asks it something. Wrappers, of which nil ones are left out, go around every request.
func NewClients(c *config.Config, wrappers ...func(http.RoundTripper) http.RoundTripper) (*Clients, error) {
	rc, err := restConfig(c.Kubernetes.Kubeconfig)
	if err != nil {
		return nil, config.Wrong(fmt.Errorf("kubernetes.kubeconfig: %w", err))
	}
	rc.UserAgent = FieldManager
	for _, wrap := range wrappers {
		if wrap != nil {
			rc.Wrap(wrap)
		}
	}
	client, err := rest.HTTPClientFor(rc)
	if err != nil {
		return nil, fmt.Errorf("kubernetes client: %w", err)
	}
	k := c.Kubernetes
	return derive(rc, client, k.Timeout, flowcontrol.NewTokenBucketRateLimiter(k.QPS, k.Burst))
}

// derive makes clients that share a connection pool, and limit how many requests they send together.
func derive(rc *rest.Config, client *http.Client, timeout time.Duration, limit flowcontrol.RateLimiter) (*Clients, error) {
	rc = rest.CopyConfig(rc)
	rc.RateLimiter = limit
	// The API server encodes an event once for all who watch in the same encoding, and its own controllers watch in this one.
	typedConfig := rest.CopyConfig(rc)
	typedConfig.ContentType = runtime.ContentTypeProtobuf
	typedConfig.AcceptContentTypes = runtime.ContentTypeProtobuf + "," + runtime.ContentTypeJSON
	typed, err := kubernetes.NewForConfigAndClient(typedConfig, client)
	if err != nil {
		return nil, fmt.Errorf("kubernetes client: %w", err)
	}
	dyn, err := dynamic.NewForConfigAndClient(rc, client)
	if err != nil {
		return nil, fmt.Errorf("kubernetes client: %w", err)
	}
	return &Clients{Typed: typed, Dynamic: dyn, timeout: timeout, config: rc, http: client}, nil
}

// Guarded returns clients that ask may before each request that could change something, and send none that it forbids.
// They share the limit and the connections of c.
func (c *Clients) WithWriteGuard(check func() error) (*Clients, error) {
	guarded := *c.http
	guarded.Transport = guard{next: c.http.Transport, check: check}
	return derive(c.config, &guarded, c.timeout, c.config.RateLimiter)
}

// Aside returns clients with a limit of their own, for little that must not wait behind much.
func (c *Clients) WithRateLimit(qps float32, burst int) (*Clients, error) {
	return derive(c.config, c.http, c.timeout, flowcontrol.NewTokenBucketRateLimiter(qps, burst))
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

// MergePatch changes the named fields of one object, or of its subresource, and returns the object as it then is. It is
// for what server-side apply cannot do: change a field only if the object is still the one that was looked at, and remove
// fields that others own.
func (c *Clients) MergePatch(ctx context.Context, resource schema.GroupVersionResource, namespace, name string, patch []byte, subresource ...string) (*unstructured.Unstructured, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	return c.Dynamic.Resource(resource).Namespace(namespace).
		Patch(ctx, name, types.MergePatchType, patch, metav1.PatchOptions{FieldManager: FieldManager}, subresource...)
}

// Replace writes obj as a whole, if the object is still the one of obj's resourceVersion: fields that obj does not hold are
// removed, whoever owns them.
func (c *Clients) Replace(ctx context.Context, resource schema.GroupVersionResource, obj *unstructured.Unstructured) (*unstructured.Unstructured, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	return c.Dynamic.Resource(resource).Namespace(obj.GetNamespace()).Update(ctx, obj, metav1.UpdateOptions{FieldManager: FieldManager})
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

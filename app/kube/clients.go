// Package kube holds the Kubernetes clients, informers and leader election that all modules use.
package kube

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/util/flowcontrol"

	"app238.com/inner/app/config"
)

// FieldManager is the name under which Inner owns the fields that it applies.
const FieldManager = "inner-gateway"

// Clients are the cluster's clients. They share one rate limit and one connection pool.
type Clients struct {
	// Typed reads and watches built-in kinds, encoded as Protocol Buffers.
	Typed kubernetes.Interface
	// Dynamic reads and writes every kind as JSON.
	Dynamic dynamic.Interface
	// metadata lists objects without their content.
	metadata metadata.Interface
	// timeout limits each request but watches.
	timeout time.Duration
	// missing is why there is no cluster, nil if there is one.
	missing error
	// config and http are the inputs of derive.
	config *rest.Config
	http   *http.Client
}

// NewClients returns clients for the configured cluster. It does not connect: an unreachable cluster fails the first
// request. Each wrapper that is not nil wraps the transport of every request.
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

// NoCluster returns clients of a command that works without a cluster: Get and List return the reason.
func NoCluster(reason error) *Clients { return &Clients{missing: reason} }

// derive returns clients that share one connection pool and one rate limit.
func derive(rc *rest.Config, client *http.Client, timeout time.Duration, limit flowcontrol.RateLimiter) (*Clients, error) {
	rc = rest.CopyConfig(rc)
	rc.RateLimiter = limit
	// The API server encodes each watch event once per encoding, and its own controllers watch in this one.
	typedConfig := rest.CopyConfig(rc)
	typedConfig.ContentType = runtime.ContentTypeProtobuf
	typedConfig.AcceptContentTypes = runtime.ContentTypeProtobuf + "," + runtime.ContentTypeJSON
	typed, err := kubernetes.NewForConfigAndClient(typedConfig, client)
	if err != nil {
		return nil, fmt.Errorf("kubernetes client: %w", err)
	}
	dynamicClient, err := dynamic.NewForConfigAndClient(rc, client)
	if err != nil {
		return nil, fmt.Errorf("kubernetes client: %w", err)
	}
	meta, err := metadata.NewForConfigAndClient(rc, client)
	if err != nil {
		return nil, fmt.Errorf("kubernetes client: %w", err)
	}
	return &Clients{Typed: typed, Dynamic: dynamicClient, metadata: meta, timeout: timeout, config: rc, http: client}, nil
}

// WithWriteGuard returns clients that call check before each request other than GET and HEAD, and return its error instead
// of sending the request. They share c's rate limit and connections.
func (c *Clients) WithWriteGuard(check func() error) (*Clients, error) {
	guarded := *c.http
	guarded.Transport = guard{next: c.http.Transport, check: check}
	return derive(c.config, &guarded, c.timeout, c.config.RateLimiter)
}

// WithRateLimit returns clients with a rate limit of their own, for requests that must not wait behind others.
func (c *Clients) WithRateLimit(qps float32, burst int) (*Clients, error) {
	return derive(c.config, c.http, c.timeout, flowcontrol.NewTokenBucketRateLimiter(qps, burst))
}

// restConfig loads a kubeconfig; "" selects the service account of the pod that this process runs in.
func restConfig(kubeconfig string) (*rest.Config, error) {
	if kubeconfig == "" {
		return rest.InClusterConfig()
	}
	return clientcmd.BuildConfigFromFlags("", kubeconfig)
}

// guard rejects write requests while check returns an error.
type guard struct {
	next  http.RoundTripper
	check func() error
}

// RoundTrip implements http.RoundTripper.
func (g guard) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		if err := g.check(); err != nil {
			if r.Body != nil {
				_ = r.Body.Close()
			}
			return nil, err
		}
	}
	return g.next.RoundTrip(r)
}

// Ping returns an error unless the API server reports that it is ready.
func (c *Clients) Ping(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	return c.Typed.Discovery().RESTClient().Get().AbsPath("/readyz").Do(ctx).Error()
}

// Subject returns the user name of a service account's token, such as "system:serviceaccount:console:outer", from a
// TokenReview; "" if the API server does not accept the token for this audience.
func (c *Clients) Subject(ctx context.Context, token, audience string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	review, err := c.Typed.AuthenticationV1().TokenReviews().Create(ctx, &authenticationv1.TokenReview{
		Spec: authenticationv1.TokenReviewSpec{Token: token, Audiences: []string{audience}},
	}, metav1.CreateOptions{})
	if err != nil {
		return "", err
	}
	// An API server without audience support returns none: then the token was not checked for one.
	if !review.Status.Authenticated || !slices.Contains(review.Status.Audiences, audience) {
		return "", nil
	}
	return review.Status.User.Username, nil
}

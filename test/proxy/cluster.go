package proxy

import (
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// Answer answers a request instead of the API server, or returns false.
type Answer func(w http.ResponseWriter, r *http.Request) bool

// Cluster is a proxy to an API server on which the test can answer requests.
type Cluster struct {
	t      testing.TB
	server *httptest.Server

	mu     sync.Mutex
	answer Answer
}

// ClusterOptions are the options of a Cluster.
type ClusterOptions struct {
	// Token authenticates forwarded requests; empty for the credentials of the kubeconfig.
	Token string
	// Note is called with every answer of the API server and may change it.
	Note func(*http.Response) error
}

// NewCluster starts a proxy to the API server of a kubeconfig. Its clients need no credentials.
func NewCluster(t testing.TB, kubeconfig string, o ClusterOptions) *Cluster {
	t.Helper()
	target, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	require.NoError(t, err)
	address, err := url.Parse(target.Host)
	require.NoError(t, err)
	if o.Token != "" {
		target = rest.AnonymousClientConfig(target)
		target.BearerToken = o.Token
	}
	transport, err := rest.TransportFor(target)
	require.NoError(t, err)
	forward := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(address) },
		// Watches are streams: each event is forwarded at once.
		FlushInterval:  -1,
		Transport:      transport,
		ModifyResponse: o.Note,
		ErrorHandler:   func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) },
	}
	c := &Cluster{t: t}
	c.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if answer := c.current(); answer == nil || !answer(w, r) {
			forward.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(c.Close)
	return c
}

func (c *Cluster) current() Answer {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.answer
}

// AnswerWith calls answer first for every request; nil ends that.
func (c *Cluster) AnswerWith(answer Answer) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.answer = answer
}

// Break closes all connections; new ones are accepted.
func (c *Cluster) Break() { c.server.CloseClientConnections() }

// Close closes all connections and accepts no more.
func (c *Cluster) Close() {
	c.Break()
	c.server.Close()
}

// Kubeconfig writes a kubeconfig for the proxy.
func (c *Cluster) Kubeconfig(path string) string {
	c.t.Helper()
	return WriteKubeconfig(c.t, c.server.URL, path)
}

// WriteKubeconfig writes a kubeconfig for an address, without credentials, and returns its path.
func WriteKubeconfig(t testing.TB, address, path string) string {
	t.Helper()
	k := clientcmdapi.NewConfig()
	k.Clusters["x"] = &clientcmdapi.Cluster{Server: address}
	k.Contexts["x"] = &clientcmdapi.Context{Cluster: "x"}
	k.CurrentContext = "x"
	require.NoError(t, clientcmd.WriteToFile(*k, path))
	return path
}

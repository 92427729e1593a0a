package controller_test

import (
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// proxy stands between a controller and the API server: it notes what is written, and can answer in its place.
type proxy struct {
	t      *testing.T
	server *httptest.Server

	mu     sync.Mutex
	answer func(w http.ResponseWriter, r *http.Request) bool
	read   []string
	wrote  []string
}

func newProxy(t *testing.T, kubeconfig string) *proxy {
	t.Helper()
	target, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	require.NoError(t, err)
	address, err := url.Parse(target.Host)
	require.NoError(t, err)
	transport, err := rest.TransportFor(target)
	require.NoError(t, err)
	forward := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(address) },
		// Watches are streams: each event is passed on at once.
		FlushInterval: -1,
		Transport:     transport,
		ErrorHandler:  func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) },
	}
	p := &proxy{t: t}
	p.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !p.handled(w, r) {
			forward.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(p.close)
	return p
}

func (p *proxy) close() {
	p.server.CloseClientConnections()
	p.server.Close()
}

func (p *proxy) handled(w http.ResponseWriter, r *http.Request) bool {
	p.mu.Lock()
	if r.Method == http.MethodGet {
		p.read = append(p.read, r.URL.Path)
	} else if !besides(r.URL.Path) {
		p.wrote = append(p.wrote, r.Method+" "+r.URL.Path)
	}
	answer := p.answer
	p.mu.Unlock()
	return answer != nil && answer(w, r)
}

// besides tells whether a path is one of what is no worker's object: the leader's lease, and events.
func besides(path string) bool {
	return strings.Contains(path, "/leases") || strings.Contains(path, "/events")
}

// answerWith has requests answered by answer where it returns true; nil ends that.
func (p *proxy) answerWith(answer func(w http.ResponseWriter, r *http.Request) bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.answer = answer
}

// writes returns method and path of every write so far, but those of the lease and of events.
func (p *proxy) writes() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.wrote)
}

// asked returns how often a path with that end was read.
func (p *proxy) asked(end string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := 0
	for _, path := range p.read {
		if strings.HasSuffix(path, end) {
			n++
		}
	}
	return n
}

// kubeconfig writes a kubeconfig that leads to the proxy.
func (p *proxy) kubeconfig(path string) string {
	p.t.Helper()
	c := clientcmdapi.NewConfig()
	c.Clusters["proxy"] = &clientcmdapi.Cluster{Server: p.server.URL}
	c.Contexts["proxy"] = &clientcmdapi.Context{Cluster: "proxy"}
	c.CurrentContext = "proxy"
	require.NoError(p.t, clientcmd.WriteToFile(*c, path))
	return path
}

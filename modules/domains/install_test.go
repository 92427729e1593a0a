package domains_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"app238.com/inner/modules/domains/internal/objects"
)

// without has the bundle's processes see the cluster as it is without an API group, until installed is set.
func (b *bundle) without(group string) (installed *atomic.Bool) {
	b.t.Helper()
	installed = &atomic.Bool{}
	cluster, err := clientcmd.BuildConfigFromFlags("", b.config.Kubernetes.Kubeconfig)
	require.NoError(b.t, err)
	address, err := url.Parse(cluster.Host)
	require.NoError(b.t, err)
	transport, err := rest.TransportFor(cluster)
	require.NoError(b.t, err)
	forward := &httputil.ReverseProxy{
		Rewrite:       func(r *httputil.ProxyRequest) { r.SetURL(address) },
		FlushInterval: -1, // watches are streams
		Transport:     transport,
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/apis/"+group+"/") && !installed.Load() {
			http.NotFound(w, r) // as the API server says it
			return
		}
		forward.ServeHTTP(w, r)
	}))
	b.t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
	c := clientcmdapi.NewConfig()
	c.Clusters["proxy"] = &clientcmdapi.Cluster{Server: server.URL}
	c.Contexts["proxy"] = &clientcmdapi.Context{Cluster: "proxy"}
	c.CurrentContext = "proxy"
	b.config.Kubernetes.Kubeconfig = filepath.Join(b.t.TempDir(), "kubeconfig")
	require.NoError(b.t, clientcmd.WriteToFile(*c, b.config.Kubernetes.Kubeconfig))
	return installed
}

func TestWithoutCertManagerDomainsAreServedAndItIsSaid(t *testing.T) {
	t.Parallel()
	b := setup(t)
	installed := b.without("cert-manager.io")
	p, _ := b.start()
	r := b.insert(b.row("www"))
	b.prove(r)
	b.awaitState(r, "verified", "success")
	b.await("it is said", func() error {
		if text := b.domain(r).Certificate; text != "cert-manager is not installed" {
			return errors.New(text)
		}
		return nil
	})
	require.NotNil(t, b.live(objects.Services(), r))
	require.NotNil(t, b.live(objects.Routes(), r))
	require.Nil(t, b.live(objects.Certificates(), r))
	require.Equal(t, 1, b.logs.FilterMessageSnippet("does not know a kind of object").Len(), "once")
	require.Zero(t, testutil.ToFloat64(p.metrics.Installed.WithLabelValues("Certificate")))

	gone := b.serveWithout(t, "gone")
	b.exec(`DELETE FROM custom_domains WHERE cdid = $1`, gone.cdid)
	b.awaitUnserved(gone)

	installed.Store(true)
	b.awaitServed(r)
	require.InDelta(t, 1, testutil.ToFloat64(p.metrics.Installed.WithLabelValues("Certificate")), 0)
}

// serveWithout has a row served by what there is.
func (b *bundle) serveWithout(t *testing.T, host string) row {
	t.Helper()
	r := b.insert(b.row(host))
	b.prove(r)
	b.await("it is served", func() error {
		if b.live(objects.Routes(), r) == nil {
			return errors.New("not yet")
		}
		return nil
	})
	return r
}

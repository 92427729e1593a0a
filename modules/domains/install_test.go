package domains_test

import (
	"errors"
	"net/http"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"

	"app238.com/inner/modules/domains/internal/objects"
	"app238.com/inner/test/proxy"
)

// without has the bundle's processes see the cluster as it is without an API group, until installed is set.
func (b *bundle) without(group string) (installed *atomic.Bool) {
	b.t.Helper()
	installed = &atomic.Bool{}
	cluster := proxy.NewCluster(b.t, b.config.Kubernetes.Kubeconfig, proxy.ClusterOptions{})
	cluster.AnswerWith(func(w http.ResponseWriter, r *http.Request) bool {
		if !strings.HasPrefix(r.URL.Path, "/apis/"+group+"/") || installed.Load() {
			return false
		}
		http.NotFound(w, r) // as the API server says it
		return true
	})
	b.config.Kubernetes.Kubeconfig = cluster.Kubeconfig(filepath.Join(b.t.TempDir(), "kubeconfig"))
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

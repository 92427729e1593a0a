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

// hideGroup hides an API group of the cluster from replicas until installed is set.
func (b *bundle) hideGroup(group string) (installed *atomic.Bool) {
	b.t.Helper()
	installed = &atomic.Bool{}
	cluster := proxy.NewCluster(b.t, b.config.Kubernetes.Kubeconfig, proxy.ClusterOptions{})
	cluster.AnswerWith(func(w http.ResponseWriter, r *http.Request) bool {
		if !strings.HasPrefix(r.URL.Path, "/apis/"+group+"/") || installed.Load() {
			return false
		}
		http.NotFound(w, r) // as the API server answers
		return true
	})
	b.config.Kubernetes.Kubeconfig = cluster.Kubeconfig(filepath.Join(b.t.TempDir(), "kubeconfig"))
	return installed
}

func TestDomainsAreServedWithoutCertManager(t *testing.T) {
	t.Parallel()
	b := setup(t)
	installed := b.hideGroup("cert-manager.io")
	p, _ := b.start()
	r := b.insert(b.row("www"))
	b.addRecords(r)
	b.awaitState(r, "verified", "success")
	b.await("it is reported", func() error {
		if text := b.domain(r).Certificate; text != "cert-manager is not installed" {
			return errors.New(text)
		}
		return nil
	})
	require.NotNil(t, b.live(objects.Services(), r))
	require.NotNil(t, b.live(objects.Routes(), r))
	require.Nil(t, b.live(objects.Certificates(), r))
	require.Equal(t, 1, b.logs.FilterMessageSnippet("kind of object is not installed").Len(), "once")
	require.Zero(t, testutil.ToFloat64(p.metrics.Installed.WithLabelValues("Certificate")))

	gone := b.insertRouted(t, "gone")
	b.exec(`DELETE FROM custom_domains WHERE cdid = $1`, gone.cdid)
	b.awaitUnserved(gone)

	installed.Store(true)
	b.awaitServed(r)
	require.InDelta(t, 1, testutil.ToFloat64(p.metrics.Installed.WithLabelValues("Certificate")), 0)
}

// insertRouted inserts a row and waits until its route exists.
func (b *bundle) insertRouted(t *testing.T, host string) row {
	t.Helper()
	r := b.insert(b.row(host))
	b.addRecords(r)
	b.await("it is served", func() error {
		if b.live(objects.Routes(), r) == nil {
			return errors.New("not yet")
		}
		return nil
	})
	return r
}

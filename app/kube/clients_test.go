package kube_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"app238.com/inner/app/config"
	"app238.com/inner/app/kube"
	"app238.com/inner/test/proxy"
)

// countingServer returns clients of a server that answers every request with an empty ConfigMap, and its request count.
func countingServer(t *testing.T) (*kube.Clients, *atomic.Int32) {
	t.Helper()
	var requests atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		requests.Add(1)
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(`{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x", "namespace": "n"}}`))
	}))
	t.Cleanup(server.Close)
	return clientsOf(t, server.URL), &requests
}

func clientsOf(t *testing.T, address string, wrappers ...func(http.RoundTripper) http.RoundTripper) *kube.Clients {
	t.Helper()
	file := proxy.WriteKubeconfig(t, address, filepath.Join(t.TempDir(), "kubeconfig"))
	clients, err := kube.NewClients(&config.Config{Kubernetes: config.Kubernetes{Kubeconfig: file, QPS: 100, Burst: 100,
		Timeout: 5 * time.Second}}, wrappers...)
	require.NoError(t, err)
	return clients
}

func TestWriteGuardStopsWritesOnly(t *testing.T) {
	t.Parallel()
	clients, requests := countingServer(t)
	errDenied := errors.New("denied")
	var check atomic.Bool
	guarded, err := clients.WithWriteGuard(func() error {
		if check.Load() {
			return nil
		}
		return errDenied
	})
	require.NoError(t, err)
	configMaps := corev1.SchemeGroupVersion.WithResource("configmaps")
	object := &unstructured.Unstructured{}
	object.SetAPIVersion("v1")
	object.SetKind("ConfigMap")
	object.SetNamespace("n")
	object.SetName("x")
	limited, err := guarded.WithRateLimit(10, 10)
	require.NoError(t, err)
	ctx := context.Background()
	writes := map[string]func() error{
		"apply":   func() error { _, err := guarded.Apply(ctx, configMaps, object); return err },
		"aside":   func() error { _, err := limited.Apply(ctx, configMaps, object); return err },
		"delete":  func() error { return guarded.Delete(ctx, configMaps, "n", "x", "") },
		"patch":   func() error { _, err := guarded.MergePatch(ctx, configMaps, "n", "x", []byte(`{}`)); return err },
		"replace": func() error { _, err := guarded.Replace(ctx, configMaps, object); return err },
	}
	for name, write := range writes {
		require.ErrorIs(t, write(), errDenied, name)
	}
	require.Zero(t, requests.Load(), "no request was sent")
	_, err = guarded.Get(ctx, configMaps, "n", "x")
	require.NoError(t, err)
	check.Store(true)
	for name, write := range writes {
		require.NoError(t, write(), name)
	}
	check.Store(false)
	_, err = clients.Apply(ctx, configMaps, object)
	require.NoError(t, err, "the original clients are not guarded")
}

// leaseServer serves a Lease whose holder's clock is ahead by skew, and that is renewed at each reading or never.
func leaseServer(t *testing.T, skew time.Duration, renewed bool) *kube.Clients {
	t.Helper()
	begin := time.Now()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		at := begin.Add(skew)
		if renewed {
			at = time.Now().Add(skew)
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = fmt.Fprintf(w, `{"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "x"},
			"spec": {"holderIdentity": "host_X", "renewTime": %q}}`, at.UTC().Format("2006-01-02T15:04:05.000000Z07:00"))
	}))
	t.Cleanup(server.Close)
	return clientsOf(t, server.URL)
}

func TestLeaderIsFoundWhateverItsClockSays(t *testing.T) {
	t.Parallel()
	c := &config.Config{Controller: config.Controller{LeaderElection: config.LeaderElection{LeaseDuration: time.Second,
		RenewDeadline: 10 * time.Millisecond}}}
	for _, skew := range []time.Duration{-time.Hour, 0, time.Hour} {
		leader, err := leaseServer(t, skew, true).Leader(t.Context(), c)
		require.NoError(t, err)
		require.Equal(t, "host_X", leader, skew)
	}
	for _, skew := range []time.Duration{-time.Hour, time.Hour} {
		leader, err := leaseServer(t, skew, false).Leader(t.Context(), c)
		require.NoError(t, err)
		require.Empty(t, leader, skew)
	}
}

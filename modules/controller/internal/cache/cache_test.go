package cache_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"app238.com/inner/app/config"
	"app238.com/inner/app/kube"
	"app238.com/inner/modules/controller/internal/cache"
	"app238.com/inner/test/proxy"
)

// lists serves a list of one WorkerApp and empty lists of all else, and keeps watches open without events.
func lists(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	switch query := r.URL.Query(); {
	case query.Has("sendInitialEvents"):
		w.WriteHeader(http.StatusUnprocessableEntity)
	case query.Has("watch"):
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	case strings.HasSuffix(r.URL.Path, "/workerapps"):
		_, _ = fmt.Fprint(w, `{"apiVersion": "console.app238.com/v1", "kind": "WorkerAppList", "metadata": {"resourceVersion": "1"},
			"items": [{"apiVersion": "console.app238.com/v1", "kind": "WorkerApp", "metadata": {"name": "a", "namespace": "worker"}}]}`)
	case strings.HasSuffix(r.URL.Path, "/ingressroutes"):
		_, _ = fmt.Fprint(w, `{"apiVersion": "traefik.io/v1alpha1", "kind": "IngressRouteList", "metadata": {"resourceVersion": "1"}}`)
	default:
		_, _ = fmt.Fprint(w, `{"metadata": {"resourceVersion": "1"}}`)
	}
}

func TestSyncWaitsForHandlersOfListedObjects(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(lists))
	t.Cleanup(server.Close)
	file := proxy.WriteKubeconfig(t, server.URL, filepath.Join(t.TempDir(), "kubeconfig"))
	c := &config.Config{Kubernetes: config.Kubernetes{Kubeconfig: file, QPS: 100, Burst: 100, Timeout: 5 * time.Second,
		Namespaces: config.Namespaces{Worker: "worker", Ingress: "ingress"}}}
	clients, err := kube.NewClients(c)
	require.NoError(t, err)
	called, proceed := make(chan string), make(chan struct{})
	cache, err := cache.New(clients, c.Kubernetes.Namespaces, cache.Handlers{
		OnSpecChange: func(app string) {
			called <- app
			<-proceed
		},
	}, zap.NewNop())
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	ended, synced := make(chan struct{}), make(chan bool, 1)
	go func() {
		defer close(ended)
		cache.Run(ctx)
	}()
	t.Cleanup(func() {
		cancel()
		<-ended
	})
	release := sync.OnceFunc(func() { close(proceed) })
	t.Cleanup(release)
	go func() { synced <- cache.WaitForSync(ctx) }()
	require.Equal(t, "a", <-called)
	require.Never(t, func() bool { return len(synced) > 0 }, 500*time.Millisecond, 10*time.Millisecond)
	release()
	require.True(t, <-synced)
	app, err := cache.App("a")
	require.NoError(t, err)
	require.Equal(t, "a", app.Name)
}

package kube_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/tools/cache"

	"app238.com/inner/app/kube"
)

// watches counts watch requests.
type watches struct {
	next  http.RoundTripper
	count *atomic.Int32
}

func (w watches) RoundTrip(r *http.Request) (*http.Response, error) {
	answer, err := w.next.RoundTrip(r)
	if r.URL.Query().Has("watch") {
		w.count.Add(1)
	}
	return answer, err
}

func TestInformerStopsWhileAPIServerIsUnavailable(t *testing.T) {
	t.Parallel()
	away := httptest.NewServer(http.NotFoundHandler())
	away.Close()
	busy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusTooManyRequests)
	}))
	t.Cleanup(busy.Close)
	for name, server := range map[string]*httptest.Server{"away": away, "busy": busy} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var dryRun atomic.Int32
			clients := clientsOf(t, server.URL, func(next http.RoundTripper) http.RoundTripper {
				return watches{next: next, count: &dryRun}
			})
			informer := kube.NewInformer(clients.Typed.CoreV1().ConfigMaps("n"), &corev1.ConfigMap{}, "app=x", cache.Indexers{})
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			done := make(chan struct{})
			go func() {
				defer close(done)
				informer.RunWithContext(ctx)
			}()
			// The back-off doubles from 0.8 s: the one after the third attempt is over 3 s.
			require.Eventually(t, func() bool { return dryRun.Load() >= 3 }, 30*time.Second, 10*time.Millisecond)
			cancel()
			select {
			case <-done:
			case <-time.After(2 * time.Second):
				t.Fatal("the informer did not stop")
			}
		})
	}
}

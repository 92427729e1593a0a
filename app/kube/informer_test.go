package kube_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

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
			informer, err := kube.NewInformer(clients.Typed.CoreV1().ConfigMaps("n"), kube.InformerOptions{
				Example: &corev1.ConfigMap{}, Selector: "app=x", Transform: func(object any) (any, error) { return object, nil },
			})
			require.NoError(t, err)
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

// pages serves ConfigMaps in pages of the requested size, of the latest version only, and no streaming lists.
func pages(t *testing.T, total int, trimmed func() int) http.HandlerFunc {
	check := func(ok bool, text string, values ...any) { // require may not be called outside the test's goroutine
		if !ok {
			t.Error(append([]any{text}, values...)...)
		}
	}
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		query := r.URL.Query()
		switch {
		case query.Has("sendInitialEvents"):
			w.WriteHeader(http.StatusUnprocessableEntity)
			return
		case query.Has("watch"):
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
			return
		}
		limit, err := strconv.Atoi(query.Get("limit"))
		check(err == nil, "a list without a limit", err)
		check(query.Get("resourceVersion") != "0", "for any version the API server ignores the limit")
		first := 0
		if next := query.Get("continue"); next != "" {
			first, err = strconv.Atoi(next)
			check(err == nil, "continue", err)
		}
		check(trimmed() == first, "objects of earlier pages that are not trimmed", first, trimmed())
		list := corev1.ConfigMapList{ListMeta: metav1.ListMeta{ResourceVersion: "7"}}
		for i := first; i < min(first+limit, total); i++ {
			list.Items = append(list.Items, corev1.ConfigMap{
				ObjectMeta: metav1.ObjectMeta{Name: strconv.Itoa(i), Namespace: "n"}, Data: map[string]string{"A": "1"},
			})
		}
		if first+limit < total {
			list.Continue = strconv.Itoa(first + limit)
		}
		err = json.NewEncoder(w).Encode(list)
		check(err == nil, "answer", err)
	}
}

func TestListsAreReadInPagesAndTrimmedAsTheyArrive(t *testing.T) {
	t.Parallel()
	const total = 1200
	var trimmed atomic.Int32
	server := httptest.NewServer(pages(t, total, func() int { return int(trimmed.Load()) }))
	t.Cleanup(server.Close)
	informer, err := kube.NewInformer(clientsOf(t, server.URL).Typed.CoreV1().ConfigMaps("n"), kube.InformerOptions{
		Example: &corev1.ConfigMap{}, Transform: func(object any) (any, error) {
			configMap, ok := object.(*corev1.ConfigMap)
			if !ok || configMap.Data == nil {
				return object, nil
			}
			trimmed.Add(1)
			return &corev1.ConfigMap{ObjectMeta: configMap.ObjectMeta}, nil
		},
	})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { informer.RunWithContext(ctx) })
	t.Cleanup(running.Wait)
	t.Cleanup(cancel)
	require.Eventually(t, informer.HasSynced, 30*time.Second, 10*time.Millisecond)
	require.Len(t, informer.GetStore().ListKeys(), total)
	for _, object := range informer.GetStore().List() {
		configMap, ok := object.(*corev1.ConfigMap)
		require.True(t, ok)
		require.Empty(t, configMap.Data)
	}
	require.Equal(t, int32(total), trimmed.Load())
}

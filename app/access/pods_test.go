package access_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"app238.com/inner/app/access"
	"app238.com/inner/app/config"
	"app238.com/inner/app/kube"
	"app238.com/inner/app/server"
	"app238.com/inner/test/proxy"
)

// timeout is longer than client-go's longest back-off.
const timeout = time.Minute

// apiServer serves the pods of a namespace, one with the address 10.9.0.1, without streaming lists. It denies what denied
// returns true for.
func apiServer(t *testing.T, denied func(verb string) bool) *httptest.Server {
	t.Helper()
	pod := corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "outer", Namespace: "n", UID: "1"},
		Status: corev1.PodStatus{Phase: corev1.PodRunning, PodIPs: []corev1.PodIP{{IP: "10.9.0.1"}}}}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		verb := "list"
		switch {
		case r.URL.Query().Has("watch"):
			verb = "watch"
		case strings.HasSuffix(r.URL.Path, "/pods/outer"):
			verb = "get"
		}
		var answer any = corev1.PodList{ListMeta: metav1.ListMeta{ResourceVersion: "7"}, Items: []corev1.Pod{pod}}
		switch {
		case denied(verb):
			w.WriteHeader(http.StatusForbidden)
			return
		case r.URL.Query().Has("sendInitialEvents"):
			w.WriteHeader(http.StatusUnprocessableEntity)
			return
		case verb == "watch":
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
			return
		case verb == "get":
			answer = pod
		}
		_ = json.NewEncoder(w).Encode(answer)
	}))
	t.Cleanup(s.Close)
	return s
}

// start returns the guard of routes for tasks, which only pods of the namespace n may call, and its handler.
func start(t *testing.T, api *httptest.Server) (*access.Guard, http.Handler) {
	t.Helper()
	c := &config.Config{
		HTTP: config.HTTP{BodyLimit: 1000, RequestTimeout: timeout, Access: map[string]config.Access{
			config.TaskRoutes: {Mode: config.AccessPods, Namespace: "n", Labels: "app=outer"}}},
		Kubernetes: config.Kubernetes{QPS: 1000, Burst: 1000, Timeout: 5 * time.Second,
			Kubeconfig: proxy.WriteKubeconfig(t, api.URL, filepath.Join(t.TempDir(), "kubeconfig"))},
	}
	clients, err := kube.NewClients(c)
	require.NoError(t, err)
	guard, err := access.New(c, clients, nil, prometheus.NewRegistry(), zap.NewNop())
	require.NoError(t, err)
	require.NoError(t, guard.Start(t.Context()))
	t.Cleanup(func() { require.NoError(t, guard.Stop(context.Background())) })
	route := server.Route{Method: http.MethodGet, Path: "/task", Access: config.TaskRoutes,
		Handler: func(w http.ResponseWriter, _ *http.Request) error { return server.WriteJSON(w, http.StatusOK, "task") }}
	return guard, server.NewHandler(c.HTTP, zap.NewNop(), guard.Protect([]server.Route{route}))
}

// ask returns the status of a request from the pod's address.
func ask(handler http.Handler) int {
	r := httptest.NewRequest(http.MethodGet, "/task", nil)
	r.RemoteAddr = "10.9.0.1:4711"
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, r)
	return w.Code
}

func TestMissingRightToPodsDegradesAndIsNamed(t *testing.T) {
	t.Parallel()
	for verbs, named := range map[string]string{"list watch": "list and watch", "list": "list", "watch": "watch", "get": "get"} {
		t.Run(verbs, func(t *testing.T) {
			t.Parallel()
			var granted atomic.Bool
			guard, handler := start(t, apiServer(t, func(verb string) bool {
				return !granted.Load() && strings.Contains(verbs, verb)
			}))
			require.True(t, guard.Check().Degrades, "routes of other modes work")
			require.Eventually(t, func() bool {
				ask(handler) // a right to get is missing only when it is used
				err := guard.Check().Ready(t.Context())
				return err != nil && err.Error() == "http.access.tasks: no right to "+named+" pods in namespace n"
			}, timeout, 10*time.Millisecond)
			if verbs != "watch" { // a list of pods serves until it is replaced
				begin := time.Now()
				require.Equal(t, http.StatusServiceUnavailable, ask(handler))
				require.Less(t, time.Since(begin), timeout/4, "the request waits for a right")
			}
			granted.Store(true)
			require.Eventually(t, func() bool {
				return ask(handler) == http.StatusOK && guard.Check().Ready(t.Context()) == nil
			}, timeout, 10*time.Millisecond, "a right that is granted later is not used")
		})
	}
}

func TestPodsThatAreNotListedDegrade(t *testing.T) {
	t.Parallel()
	api := apiServer(t, func(string) bool { return false })
	api.Close()
	guard, _ := start(t, api)
	require.EqualError(t, guard.Check().Ready(t.Context()), "http.access.tasks: pods not listed")
}

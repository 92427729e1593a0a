package combinator_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"app238.com/inner/app/access"
	"app238.com/inner/app/config"
	"app238.com/inner/app/kube"
	"app238.com/inner/app/server"
	"app238.com/inner/modules/combinator/internal/engine"
	"app238.com/inner/modules/combinator/internal/jobs"
	"app238.com/inner/modules/combinator/internal/webhook"
	"app238.com/inner/modules/tasks/job"
	"app238.com/inner/test/metricstest"
	"app238.com/inner/test/pods"
)

// cluster is a namespace of Combinator pods on a real control plane, and a guarded route.
type cluster struct {
	t       *testing.T
	config  *config.Config
	clients *kube.Clients
	pods    *kube.Pods
	handler http.Handler
	logs    *observer.ObservedLogs
}

func setupCluster(t *testing.T, rule config.Access) *cluster {
	t.Helper()
	kubeconfig := os.Getenv("INNER_TEST_KUBECONFIG")
	require.NotEmpty(t, kubeconfig, "INNER_TEST_KUBECONFIG is not set: this test needs a Kubernetes control plane; run make test")
	c := &config.Config{
		HTTP: config.HTTP{BodyLimit: 1000, RequestTimeout: time.Minute, Access: map[string]config.Access{config.SecretRoutes: rule}},
		Kubernetes: config.Kubernetes{Kubeconfig: kubeconfig, QPS: 1000, Burst: 1000, Timeout: 15 * time.Second,
			Namespaces: config.Namespaces{Combinator: fmt.Sprintf("combinator-%d", rand.Int64())}},
		Combinator: config.Combinator{Pods: config.CombinatorPods{Labels: "app=combinator", WebhookTimeout: 2 * time.Second}},
	}
	clients, err := kube.NewClients(c)
	require.NoError(t, err)
	_, err = clients.Typed.CoreV1().Namespaces().Create(t.Context(),
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: c.Kubernetes.Namespaces.Combinator}}, metav1.CreateOptions{})
	require.NoError(t, err)
	t.Cleanup(func() {
		_ = clients.Typed.CoreV1().Namespaces().Delete(context.Background(), c.Kubernetes.Namespaces.Combinator, metav1.DeleteOptions{})
	})
	pods, err := kube.NewCombinatorPods(clients, c)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, pods.Stop(context.Background())) })
	core, logs := observer.New(zap.DebugLevel)
	guard, err := access.New(c, clients, pods, prometheus.NewRegistry(), zap.New(core))
	require.NoError(t, err)
	route := server.Route{Method: http.MethodGet, Path: "/secret", Access: config.SecretRoutes,
		Handler: func(w http.ResponseWriter, _ *http.Request) error {
			return server.WriteJSON(w, http.StatusOK, "sk_secret")
		}}
	handler := server.NewHandler(c.HTTP, zap.New(core), guard.Protect([]server.Route{route}))
	return &cluster{t: t, config: c, clients: clients, pods: pods, handler: handler, logs: logs}
}

// pod creates a pod that no node runs; the test writes its status as a kubelet would.
func (c *cluster) pod(name, address string, change ...func(*corev1.Pod)) *corev1.Pod {
	c.t.Helper()
	return pods.NewCombinator(c.t, c.clients.Typed, c.config.Kubernetes.Namespaces.Combinator, name, address, change...)
}

func (c *cluster) phase(pod *corev1.Pod, phase corev1.PodPhase, address string) {
	c.t.Helper()
	pods.SetPhase(c.t, c.clients.Typed, pod, phase, address)
}

func (c *cluster) ask(address string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodGet, "/secret", nil)
	r.RemoteAddr = net.JoinHostPort(address, "4711")
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	c.handler.ServeHTTP(w, r)
	return w
}

func (c *cluster) eventually(want int, address, why string) {
	c.t.Helper()
	require.Eventually(c.t, func() bool { return c.ask(address).Code == want }, timeout, 20*time.Millisecond, why)
}

func TestOnlyCombinatorPodsReadSecrets(t *testing.T) {
	t.Parallel()
	c := setupCluster(t, config.Access{Mode: config.AccessCombinatorPods})
	pod := c.pod("one", "10.9.0.1")
	c.pod("other", "10.9.0.2", func(p *corev1.Pod) { p.Labels["app"] = "worker" })
	c.pod("host", "10.9.0.3", func(p *corev1.Pod) { p.Spec.HostNetwork = true })
	c.eventually(http.StatusOK, "10.9.0.1", "a Combinator pod is allowed")
	for address, why := range map[string]string{
		"10.9.0.2": "a pod with other labels", "10.9.0.3": "a pod with the host's network", "10.9.0.9": "an unknown address",
		"127.0.0.1": "the loopback address",
	} {
		w := c.ask(address, "X-Forwarded-For", "10.9.0.1", "X-Real-Ip", "10.9.0.1", "Forwarded", "for=10.9.0.1")
		require.Equal(t, http.StatusForbidden, w.Code, why)
		require.JSONEq(t, `{"error": "forbidden"}`, w.Body.String())
	}
	require.NotEmpty(t, c.logs.FilterMessage("request refused").All())
	c.phase(pod, corev1.PodSucceeded, "10.9.0.1")
	c.eventually(http.StatusForbidden, "10.9.0.1", "a terminated pod")
}

func TestReusedPodAddressIsForbidden(t *testing.T) {
	t.Parallel()
	c := setupCluster(t, config.Access{Mode: config.AccessCombinatorPods})
	pod := c.pod("one", "10.9.1.1")
	c.eventually(http.StatusOK, "10.9.1.1", "a Combinator pod is allowed")
	zero := int64(0)
	require.NoError(t,
		c.clients.Typed.CoreV1().Pods(pod.Namespace).Delete(t.Context(), "one", metav1.DeleteOptions{GracePeriodSeconds: &zero}))
	c.pod("worker", "10.9.1.1", func(p *corev1.Pod) { p.Labels["app"] = "worker" })
	c.eventually(http.StatusForbidden, "10.9.1.1", "the address belongs to another pod now")
	c.pod("two", "10.9.1.2")
	c.eventually(http.StatusOK, "10.9.1.2", "a Combinator pod is allowed")
	c.pod("three", "10.9.1.2")
	c.eventually(http.StatusForbidden, "10.9.1.2", "an address of two pods identifies neither")
}

func TestTokenAudienceAndSubjectAreChecked(t *testing.T) {
	t.Parallel()
	rule := config.Access{Mode: config.AccessToken, Audience: "inner"}
	c := setupCluster(t, rule)
	namespace := c.config.Kubernetes.Namespaces.Combinator
	allowed := fmt.Sprintf("system:serviceaccount:%s:combinator", namespace)
	rule.Subjects = []string{allowed}
	guard, err := access.New(&config.Config{HTTP: config.HTTP{Access: map[string]config.Access{config.SecretRoutes: rule}}},
		c.clients, c.pods, prometheus.NewRegistry(), zap.NewNop())
	require.NoError(t, err)
	answer := func(w http.ResponseWriter, _ *http.Request) error {
		return server.WriteJSON(w, http.StatusOK, "sk_secret")
	}
	c.handler = server.NewHandler(c.config.HTTP, zap.NewNop(), guard.Protect([]server.Route{
		{Method: http.MethodGet, Path: "/secret", Access: config.SecretRoutes, Handler: answer},
		{Method: http.MethodGet, Path: "/probe", Access: config.SecretRoutes, Handler: answer, Probe: true},
	}))
	token := func(account, audience string) string {
		_, err := c.clients.Typed.CoreV1().ServiceAccounts(namespace).Create(t.Context(),
			&corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: account}}, metav1.CreateOptions{})
		if err != nil {
			require.ErrorContains(t, err, "already exists")
		}
		made, err := c.clients.Typed.CoreV1().ServiceAccounts(namespace).CreateToken(t.Context(), account,
			&authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{Audiences: []string{audience}}}, metav1.CreateOptions{})
		require.NoError(t, err)
		return "Bearer " + made.Status.Token
	}
	require.Equal(t, http.StatusOK, c.ask("10.0.0.1", "Authorization", token("combinator", "inner")).Code)
	for why, header := range map[string]string{
		"another audience": token("combinator", "other"), "another account": token("worker", "inner"),
		"no token": "Bearer x", "another scheme": "Basic " + strings.TrimPrefix(token("combinator", "inner"), "Bearer "), "nothing": "",
	} {
		require.Equal(t, http.StatusForbidden, c.ask("10.0.0.1", "Authorization", header).Code, why)
	}
	probe := httptest.NewRecorder()
	c.handler.ServeHTTP(probe, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/probe", nil))
	require.Equal(t, http.StatusOK, probe.Code, "a kubelet has neither a token nor a pod's address")
}

// listener serves the webhook of a Combinator pod on a loopback address.
type listener struct {
	mu       sync.Mutex
	status   int
	received []map[string]string
}

func (l *listener) serve(t *testing.T, address, port string) string {
	t.Helper()
	socket, err := net.Listen("tcp", net.JoinHostPort(address, port))
	require.NoError(t, err)
	s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		l.mu.Lock()
		defer l.mu.Unlock()
		var body map[string]string
		if r.URL.Path == "/webhook" && r.Method == http.MethodPost && json.NewDecoder(r.Body).Decode(&body) == nil {
			l.received = append(l.received, body)
		}
		w.WriteHeader(l.status)
	})}
	go func() { _ = s.Serve(socket) }()
	t.Cleanup(func() { _ = s.Close() })
	_, port, err = net.SplitHostPort(socket.Addr().String())
	require.NoError(t, err)
	return port
}

func (l *listener) answer(status int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.status = status
}

func TestEveryRunningPodIsNotified(t *testing.T) {
	t.Parallel()
	c := setupCluster(t, config.Access{Mode: config.AccessNone})
	subnet := fmt.Sprintf("127.%d.%d.", 1+rand.IntN(250), rand.IntN(250))
	first, second := &listener{status: http.StatusOK}, &listener{status: http.StatusServiceUnavailable}
	port := first.serve(t, subnet+"1", "0")
	second.serve(t, subnet+"2", port)
	n, err := strconv.Atoi(port)
	require.NoError(t, err)
	c.config.Combinator.Pods.WebhookPort = n
	c.pod("one", subnet+"1")
	two := c.pod("two", subnet+"2")
	three := c.pod("three", subnet+"3") // nothing listens
	b := setup(t)
	registry := prometheus.NewRegistry()
	pods, err := webhook.New(c.pods, c.config, registry)
	require.NoError(t, err)
	notify := func() error {
		p := b.params()
		p.Pods = pods
		prepared, err := jobs.NewNotifyPods(p).Prepare([]byte(`{"user_uid":"u1","resource_id":"r1","resource_type":"kv"}`))
		require.NoError(t, err)
		return prepared.Execute(t.Context(), job.Task{ID: 1})
	}
	var waiting *job.Error
	require.ErrorAs(t, notify(), &waiting)
	require.Equal(t, job.Snooze, waiting.Kind)
	require.Contains(t, waiting.Text, "2 of 3")
	require.Equal(t, map[string]string{"user_uid": "u1", "resource_id": "r1", "resource_type": "kv"}, first.received[0])
	second.answer(http.StatusOK)
	require.ErrorAs(t, notify(), &waiting)
	require.Contains(t, waiting.Text, "1 of 3")
	require.Equal(t, map[string]float64{
		"inner_combinator_notices_total/ok": 3, "inner_combinator_notices_total/error": 3,
	}, metricstest.Values(t, registry))
	c.phase(three, corev1.PodFailed, subnet+"3")
	require.Eventually(t, func() bool { return notify() == nil }, timeout, 20*time.Millisecond, "a failed pod is not waited for")
	require.NotEmpty(t, two.Name)

	b.resource("u1", "r1", "kv")
	require.NoError(t, b.run(jobs.CreateKVType, ref("u1", "r1")))
	require.ErrorAs(t, notify(), &waiting)
	require.Equal(t, job.Terminal, waiting.Kind, "no pod is notified about an existing resource")
	require.Error(t, pods.Notify(t.Context(), kube.Pod{Address: subnet + "3"}, "kv", engine.Resource{}))
}

// fakePods implements jobs.Pods with the answers of the test.
type fakePods struct {
	mu       sync.Mutex
	running  []kube.Pod
	answer   func(kube.Pod) error
	notified []string
}

func (p *fakePods) Running(context.Context) ([]kube.Pod, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.running, nil
}

func (p *fakePods) Notify(_ context.Context, pod kube.Pod, kind string, r engine.Resource) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.notified = append(p.notified, pod.Name+" "+kind+" "+r.UserUID+"/"+r.ResourceID)
	if p.answer == nil {
		return nil
	}
	return p.answer(pod)
}

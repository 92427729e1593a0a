package controller_test

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"app238.com/inner/app/config"
	"app238.com/inner/app/kube"
	"app238.com/inner/modules/controller"
	"app238.com/inner/modules/controller/workerapp"
)

const (
	// timeout bounds every wait without a bound of its own.
	timeout = 60 * time.Second
	// repairTimeout bounds the repair of an edited or deleted child, on a busy machine.
	repairTimeout = 20 * time.Second

	healthyImage = "registry.test/healthy:1"
	secretKey    = "sk_marker-of-the-owner"
	envValue     = "marker-of-the-environment"
)

// bundle is one controller in its own namespaces, with its dependencies.
type bundle struct {
	t *testing.T
	// kubeconfig is of the API server, config.Kubernetes.Kubeconfig of the proxy before it.
	kubeconfig string

	admin    *kube.Clients
	config   *config.Config
	logs     *observer.ObservedLogs
	registry *prometheus.Registry
	proxy    *proxy
	source   *fakeSource
	recorder *fakeRecorder

	running    *controller.Controller
	idleRounds int
}

// setup creates the namespaces and dependencies of a controller; b.start starts one.
func setup(t *testing.T) *bundle {
	t.Helper()
	kubeconfig := os.Getenv("INNER_TEST_KUBECONFIG")
	if kubeconfig == "" {
		t.Fatal("INNER_TEST_KUBECONFIG is not set: this test needs a Kubernetes control plane; run make test")
	}
	suffix := make([]byte, 4)
	_, err := rand.Read(suffix)
	require.NoError(t, err)
	b := &bundle{t: t, kubeconfig: kubeconfig, config: &config.Config{
		Domain:   "example.test",
		Database: config.Database{ConnectTimeout: time.Second, StatementTimeout: 5 * time.Second},
		Kubernetes: config.Kubernetes{QPS: 1000, Burst: 1000, Timeout: 15 * time.Second, Namespaces: config.Namespaces{
			Control: "worker-" + hex.EncodeToString(suffix),
			Worker:  "worker-" + hex.EncodeToString(suffix), Ingress: "ingress-" + hex.EncodeToString(suffix), Combinator: "combinator",
		}},
		Controller: config.Controller{Workers: 4, ProgressDeadline: 10 * time.Minute, FailureGrace: time.Second,
			RestartsPerSecond: 1000,
			RetryDelay:        20 * time.Millisecond, RetryDelayMax: time.Second, ResyncInterval: time.Hour,
			WriteRateLimit: config.WriteRateLimit{Burst: 100, Interval: time.Second},
			LeaderElection: config.LeaderElection{Lease: "controller", LeaseDuration: 15 * time.Second, RenewDeadline: 10 * time.Second,
				RetryPeriod: 300 * time.Millisecond},
			Pods: config.Pods{StopDelay: 5 * time.Second, StopGrace: 30 * time.Second},
			NetworkPolicy: config.NetworkPolicy{Enabled: true, DNSNamespace: "kube-system", DNSNetworks: []string{"169.254.20.10/32"},
				PrivateNetworks: []string{"10.0.0.0/8", "fc00::/7"}},
		},
	}, source: &fakeSource{}, recorder: &fakeRecorder{}}
	direct := *b.config
	direct.Kubernetes.Kubeconfig = kubeconfig
	b.admin, err = kube.NewClients(&direct)
	require.NoError(t, err)
	b.proxy = newProxy(t, kubeconfig)
	b.config.Kubernetes.Kubeconfig = b.proxy.Kubeconfig(filepath.Join(t.TempDir(), "kubeconfig"))
	for _, namespace := range []string{b.worker(), b.ingress()} {
		_, err := b.admin.Typed.CoreV1().Namespaces().Create(b.ctx(),
			&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}, metav1.CreateOptions{})
		require.NoError(t, err)
	}
	t.Cleanup(b.clear)
	return b
}

// replica returns a second controller on the same cluster with its own proxy.
func (b *bundle) replica() *bundle {
	b.t.Helper()
	other, c := *b, *b.config
	other.config, other.running = &c, nil
	other.proxy = newProxy(b.t, b.kubeconfig)
	c.Kubernetes.Kubeconfig = other.proxy.Kubeconfig(filepath.Join(b.t.TempDir(), "kubeconfig"))
	b.t.Cleanup(other.stop)
	return &other
}

func (b *bundle) ctx() context.Context { return context.Background() }
func (b *bundle) worker() string       { return b.config.Kubernetes.Namespaces.Worker }
func (b *bundle) ingress() string      { return b.config.Kubernetes.Namespaces.Ingress }

// clear stops the controller and deletes the namespaces: crashing pods would load the cluster.
func (b *bundle) clear() {
	b.stop()
	apps, err := b.admin.Dynamic.Resource(workerapp.Resource()).Namespace(b.worker()).List(b.ctx(), metav1.ListOptions{})
	require.NoError(b.t, err)
	for _, app := range apps.Items {
		_, err := b.admin.Dynamic.Resource(workerapp.Resource()).Namespace(b.worker()).Patch(b.ctx(), app.GetName(),
			types.MergePatchType, []byte(`{"metadata": {"finalizers": null}}`), metav1.PatchOptions{})
		require.NoError(b.t, err)
	}
	for _, namespace := range []string{b.worker(), b.ingress()} {
		require.NoError(b.t, b.admin.Typed.CoreV1().Namespaces().Delete(b.ctx(), namespace, metav1.DeleteOptions{}))
	}
}

// start starts a new controller, as a new process would.
func (b *bundle) start() {
	b.t.Helper()
	core, logs := observer.New(zapcore.DebugLevel)
	b.logs, b.registry = logs, prometheus.NewRegistry()
	clients, err := kube.NewClients(b.config)
	require.NoError(b.t, err)
	b.running, err = controller.New(b.config, zap.New(core), clients, b.registry, b.source, b.recorder)
	require.NoError(b.t, err)
	require.NoError(b.t, b.running.Start(b.ctx()))
}

func (b *bundle) stop() {
	if b.running == nil {
		return
	}
	ctx, cancel := context.WithTimeout(b.ctx(), 10*time.Second)
	defer cancel()
	require.NoError(b.t, b.running.Stop(ctx))
	require.Error(b.t, b.running.Ready(ctx))
	b.running = nil
}

func (b *bundle) startAndSync() {
	b.t.Helper()
	b.start()
	b.await("caches synced", func() error { return b.running.Ready(b.ctx()) })
}

// await waits until check returns nil.
func (b *bundle) await(what string, check func() error) {
	b.t.Helper()
	b.awaitWithin(timeout, what, check)
}

func (b *bundle) awaitWithin(limit time.Duration, what string, check func() error) {
	b.t.Helper()
	var mu sync.Mutex
	var last error
	met := func() bool {
		err := check()
		mu.Lock()
		defer mu.Unlock()
		last = err
		return err == nil
	}
	if !met() && !eventually(limit, met) {
		mu.Lock()
		defer mu.Unlock()
		require.FailNow(b.t, "not within "+limit.String()+": "+what, "%v\nlog: %s", last, b.logText())
	}
}

func eventually(limit time.Duration, met func() bool) bool {
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	deadline := time.After(limit)
	for {
		select {
		case <-ticker.C:
			if met() {
				return true
			}
		case <-deadline:
			return false
		}
	}
}

// logText returns the controller's log.
func (b *bundle) logText() string {
	var lines []string
	for _, entry := range b.logs.All() {
		lines = append(lines, fmt.Sprint(entry.Time.Format("05.000 "), entry.Level, " ", entry.Message, " ", entry.ContextMap()))
	}
	return strings.Join(lines, "\n")
}

// spec returns a healthy spec of a worker.
func spec(workerID string) workerapp.Spec {
	return workerapp.Spec{WorkerID: workerID, OwnerID: "u1", Image: healthyImage, Port: 8080, AssignedCPU: "100m",
		AssignedMemory: "64Mi", AssignedDisk: "100Mi", MaxReplicas: 1}
}

// deploy applies a WorkerApp as its job does, and returns its name.
func (b *bundle) deploy(s workerapp.Spec, version, task int64) string {
	b.t.Helper()
	return b.deployFrom(s, workerapp.Origin{Version: version, Task: task})
}

func (b *bundle) deployFrom(s workerapp.Spec, origin workerapp.Origin) string {
	b.t.Helper()
	applied, err := b.admin.Apply(b.ctx(), workerapp.Resource(), workerapp.ToApply(b.worker(), s, origin))
	require.NoError(b.t, err)
	return applied.GetName()
}

func (b *bundle) app(name string) (*workerapp.WorkerApp, error) {
	u, err := b.admin.Get(b.ctx(), workerapp.Resource(), b.worker(), name)
	if err != nil {
		return nil, err
	}
	return workerapp.FromUnstructured(u)
}

// awaitPhase waits for the phase of the WorkerApp's current task and returns the WorkerApp.
func (b *bundle) awaitPhase(name string, phase workerapp.Phase) *workerapp.WorkerApp {
	b.t.Helper()
	var app *workerapp.WorkerApp
	b.await(name+" is "+string(phase), func() (err error) {
		if app, err = b.app(name); err != nil {
			return err
		}
		s := app.Status
		at := workerapp.OriginOf(app.Annotations)
		if s.Phase != phase || s.ObservedGeneration != app.Generation || s.Task != at.Task || s.Database != at.Database {
			return fmt.Errorf("status: %+v", s)
		}
		return nil
	})
	return app
}

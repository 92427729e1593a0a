package controller_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	coreinformers "k8s.io/client-go/informers/core/v1"
	"k8s.io/client-go/tools/cache"

	"app238.com/inner/modules/controller/workerapp"
)

// servingWatch watches a worker's pods.
type servingWatch struct {
	mu     sync.Mutex
	ready  map[string]bool
	fewest int
	synced bool // all pods were observed
}

// watchServing starts with ready pods, and records the lowest number of ready pods.
func (b *bundle) watchServing(name string, pods int) *servingWatch {
	b.t.Helper()
	w := &servingWatch{ready: map[string]bool{}, fewest: pods}
	informer := coreinformers.NewFilteredPodInformer(b.admin.Typed, b.worker(), 0, cache.Indexers{},
		func(options *metav1.ListOptions) { options.LabelSelector = "app=" + name })
	_, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(object any) { w.record(object, false) },
		UpdateFunc: func(_, object any) { w.record(object, false) },
		DeleteFunc: func(object any) { w.record(object, true) },
	})
	require.NoError(b.t, err)
	ctx, cancel := context.WithCancel(b.ctx())
	var running sync.WaitGroup
	running.Go(func() { informer.RunWithContext(ctx) })
	b.t.Cleanup(func() {
		cancel()
		running.Wait()
	})
	b.await("the pods are observed", func() error {
		w.mu.Lock()
		defer w.mu.Unlock()
		if len(w.ready) != pods {
			return fmt.Errorf("%d pods", len(w.ready))
		}
		return nil
	})
	return w
}

func (w *servingWatch) record(object any, deleted bool) {
	pod, ok := object.(*corev1.Pod)
	if !ok {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.ready, pod.Name)
	if !deleted && pod.DeletionTimestamp == nil && isReady(pod) {
		w.ready[pod.Name] = true
	}
	if w.synced = w.synced || len(w.ready) == w.fewest; w.synced {
		w.fewest = min(w.fewest, len(w.ready))
	}
}

func (w *servingWatch) fewestReady() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.fewest
}

func isReady(pod *corev1.Pod) bool {
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodReady {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}

func TestOnePodIsAlwaysReady(t *testing.T) {
	t.Parallel()
	for what, next := range map[string]struct {
		image string
		phase workerapp.Phase
	}{
		"a slow second version":     {"registry.test/slow/app:2", workerapp.Running},
		"a crashing one":            {"registry.test/fail/crash:2", workerapp.Failed},
		"one that cannot be pulled": {"registry.test/fail/pull:2", workerapp.Failed},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			b.startAndSync()
			name := b.deploy(spec("abc12345"), 1, 1)
			b.awaitPhase(name, workerapp.Running)
			watch := b.watchServing(name, 1)
			s := spec("abc12345")
			s.Image = next.image
			b.deploy(s, 2, 2)
			b.awaitPhase(name, next.phase)
			if next.phase == workerapp.Failed {
				b.deploy(spec("abc12345"), 3, 3)
				b.awaitPhase(name, workerapp.Running)
			}
			require.Equal(t, 1, watch.fewestReady())
		})
	}
}

func TestNewPortChangesNoServiceOrRoute(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.startAndSync()
	name := b.deploy(spec("abc12345"), 1, 1)
	b.awaitPhase(name, workerapp.Running)
	before := b.routeVersions(name)
	require.Equal(t, "http", b.service(name).Spec.Ports[0].TargetPort.String(), "each pod resolves the name itself")
	for version, next := range map[int64]struct {
		image string
		phase workerapp.Phase
	}{2: {"registry.test/fail/crash:2", workerapp.Failed}, 3: {"registry.test/slow/app:3", workerapp.Running}} {
		s := spec("abc12345")
		s.Port, s.Image = 9090+version, next.image
		b.deploy(s, version, version)
		b.awaitPhase(name, next.phase)
		require.Equal(t, before, b.routeVersions(name))
		ports := b.deployment(name).Spec.Template.Spec.Containers[0].Ports
		require.Len(t, ports, 1)
		require.Equal(t, "http", ports[0].Name)
		require.EqualValues(t, s.Port, ports[0].ContainerPort)
	}
}

// routeVersions returns the resourceVersions of the objects on the way of requests.
func (b *bundle) routeVersions(name string) [3]string {
	b.t.Helper()
	return [3]string{b.service(name).ResourceVersion, b.external(name).ResourceVersion, b.route(name).GetResourceVersion()}
}

// setPods writes the status of a worker's pods, as a kubelet would.
func (b *bundle) setPods(name, status string) {
	b.t.Helper()
	pods := b.pods(name)
	require.NotEmpty(b.t, pods)
	for _, pod := range pods {
		b.setPod(pod.Name, status)
	}
}

func (b *bundle) setPod(name, status string) {
	b.t.Helper()
	_, err := b.admin.Typed.CoreV1().Pods(b.worker()).Patch(b.ctx(), name, types.MergePatchType, []byte(status),
		metav1.PatchOptions{}, "status")
	require.NoError(b.t, err)
}

// podStatus returns the status of a pod whose container has this state.
func podStatus(name string, ready bool, state string) string {
	condition := map[bool]string{true: "True", false: "False"}[ready]
	return fmt.Sprintf(`{"status": {"conditions": [{"type": "Ready", "status": %q, "lastTransitionTime": %q}],
		"containerStatuses": [{"name": %q, "image": "i", "imageID": "i", "ready": %v, "restartCount": 1, "state": %s,
		"lastState": {"terminated": {"exitCode": 137, "reason": "OOMKilled"}}}]}}`,
		condition, time.Now().UTC().Format(time.RFC3339), name, ready, state)
}

func TestVersionCrashingBeforeMinReadyFails(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.config.Controller.MinReady = 5 * time.Minute
	b.startAndSync()
	name := b.deploy(spec("abc12345"), 1, 1)
	b.awaitPhase(name, workerapp.Running) // there were no old pods to wait for
	old := b.pods(name)[0].Name
	s := spec("abc12345")
	s.Image = "registry.test/healthy:2"
	b.deploy(s, 2, 2)
	b.await("the new pod is ready beside the old one", func() error {
		if d := b.deployment(name); d.Status.ReadyReplicas != 2 || d.Status.UpdatedReplicas != 1 {
			return fmt.Errorf("%+v", d.Status)
		}
		return nil
	})
	require.Len(t, b.recorder.recorded(), 1)
	for _, pod := range b.pods(name) {
		if pod.Name != old {
			_, err := b.admin.Typed.CoreV1().Pods(b.worker()).Patch(b.ctx(), pod.Name, types.MergePatchType,
				[]byte(podStatus(name, false, `{"waiting": {"reason": "CrashLoopBackOff"}}`)), metav1.PatchOptions{}, "status")
			require.NoError(t, err)
		}
	}
	require.Contains(t, b.awaitPhase(name, workerapp.Failed).Status.Message, "OOMKilled")
	outcomes := b.recorder.recorded()
	require.Len(t, outcomes, 2)
	require.False(t, outcomes[1].Running)
	require.False(t, outcomes[1].HadRun)
	require.True(t, isReady(&b.pods(name)[slices.IndexFunc(b.pods(name), func(p corev1.Pod) bool { return p.Name == old })]))
}

func TestFailureAndRecoveryAfterRunningAreRecorded(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.startAndSync()
	name := b.deploy(spec("abc12345"), 1, 1)
	b.awaitPhase(name, workerapp.Running)
	b.setPods(name, podStatus(name, false, `{"waiting": {"reason": "CrashLoopBackOff"}}`))
	app := b.awaitPhase(name, workerapp.Failed)
	require.Equal(t, "CrashLoopBackOff: exit code 137 (OOMKilled)", app.Status.Message)
	b.awaitEvent(name, corev1.EventTypeWarning, "ContainerCrashing")
	b.setPods(name, podStatus(name, true, `{"running": {}}`))
	b.awaitPhase(name, workerapp.Running)
	outcomes := b.recorder.recorded()
	require.Len(t, outcomes, 3)
	require.True(t, outcomes[1].HadRun)
	require.False(t, outcomes[1].Serving)
	require.WithinDuration(t, time.Now(), outcomes[1].Since, timeout)
	require.True(t, outcomes[2].Running)
}

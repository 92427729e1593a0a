package controller_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	coreinformers "k8s.io/client-go/informers/core/v1"
	"k8s.io/client-go/tools/cache"

	"app238.com/inner/modules/controller/workerapp"
)

// servingWatch follows a worker's pods event by event.
type servingWatch struct {
	mu     sync.Mutex
	ready  map[string]bool
	fewest int
	events int
}

// watchServing begins with pods that serve, and notes how few of them did at any time.
func (b *bundle) watchServing(name string, pods int) *servingWatch {
	b.t.Helper()
	w := &servingWatch{ready: map[string]bool{}, fewest: pods}
	informer := coreinformers.NewFilteredPodInformer(b.admin.Typed, b.worker(), 0, cache.Indexers{},
		func(options *metav1.ListOptions) { options.LabelSelector = "app=" + name })
	_, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(object any) { w.note(object, false) },
		UpdateFunc: func(_, object any) { w.note(object, false) },
		DeleteFunc: func(object any) { w.note(object, true) },
	})
	require.NoError(b.t, err)
	ctx, cancel := context.WithCancel(b.ctx())
	var running sync.WaitGroup
	running.Go(func() { informer.RunWithContext(ctx) })
	b.t.Cleanup(func() {
		cancel()
		running.Wait()
	})
	b.await("the pods are seen", func() error {
		w.mu.Lock()
		defer w.mu.Unlock()
		if len(w.ready) != pods {
			return fmt.Errorf("%d pods", len(w.ready))
		}
		return nil
	})
	return w
}

func (w *servingWatch) note(object any, gone bool) {
	pod, ok := object.(*corev1.Pod)
	if !ok {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	first := w.events == 0
	w.events++
	delete(w.ready, pod.Name)
	if !gone && pod.DeletionTimestamp == nil && isReady(pod) {
		w.ready[pod.Name] = true
	}
	if !first {
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

func TestThereIsNoMomentWithoutAReadyPod(t *testing.T) {
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

// portsOf returns the ports of Service, ExternalName Service and route.
func (b *bundle) portsOf(name string) [3]int64 {
	b.t.Helper()
	inside, outside := b.service(name).Spec.Ports, b.external(name).Spec.Ports
	require.Len(b.t, inside, 1)
	require.Len(b.t, outside, 1)
	spec, ok := b.route(name).Object["spec"].(map[string]any)
	require.True(b.t, ok)
	var port int64
	_, err := fmt.Sscanf(fmt.Sprint(spec["routes"]), "[map[kind:Rule match:"+hostRule(name)+" services:[map[name:"+name+"-ext port:%d]]]]", &port)
	require.NoError(b.t, err, "%v", spec["routes"])
	return [3]int64{int64(inside[0].Port), int64(outside[0].Port), port}
}

func hostRule(name string) string {
	return "Host(`abc12345.worker.example.test`) || Host(`abc12345-u1.worker.example.test`) || Host(`" + name + ".worker.example.test`)"
}

func TestRequestsGoToTheOldPortUntilThePodsOfTheNewOneServe(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.startAndSync()
	name := b.deploy(spec("abc12345"), 1, 1)
	b.awaitPhase(name, workerapp.Running)
	s := spec("abc12345")
	s.Port, s.Image = 9090, "registry.test/slow/app:2"
	b.deploy(s, 2, 2)
	b.await("the new pod is started", func() error {
		if n := len(b.pods(name)); n != 2 {
			return fmt.Errorf("%d pods", n)
		}
		return nil
	})
	b.awaitPhase(name, workerapp.Deploying)
	require.Equal(t, [3]int64{8080, 8080, 8080}, b.portsOf(name))
	b.awaitPhase(name, workerapp.Running)
	require.Equal(t, [3]int64{9090, 9090, 9090}, b.portsOf(name), "once it runs, all have followed")
}

func TestAFailedVersionWithAnotherPortLeavesTheWayToTheServingOne(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.startAndSync()
	name := b.deploy(spec("abc12345"), 1, 1)
	b.awaitPhase(name, workerapp.Running)
	s := spec("abc12345")
	s.Port, s.Image = 9090, "registry.test/fail/crash:2"
	b.deploy(s, 2, 2)
	b.awaitPhase(name, workerapp.Failed)
	require.Equal(t, [3]int64{8080, 8080, 8080}, b.portsOf(name))
	for _, k := range []kind{b.kinds(name)[2], b.kinds(name)[4], b.kinds(name)[5]} {
		require.NoError(t, b.admin.Delete(b.ctx(), k.resource, k.namespace, k.name))
	}
	b.awaitWithin(healing, "the way is back", func() error {
		for _, k := range []kind{b.kinds(name)[2], b.kinds(name)[4], b.kinds(name)[5]} {
			if b.content(k) == "not found" {
				return errors.New("not yet")
			}
		}
		return nil
	})
	require.Equal(t, [3]int64{8080, 8080, 8080}, b.portsOf(name), "also when it was lost")
}

package controller_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"app238.com/inner/app/config"
	"app238.com/inner/modules/controller/rollout"
	"app238.com/inner/modules/controller/workerapp"
)

var errUnavailable = errors.New("the database is unavailable")

//nolint:paralleltest // it checks every goroutine of the process
func TestStopEndsAllGoroutines(t *testing.T) {
	b := setup(t)
	before := goleak.IgnoreCurrent()
	b.startAndSync()
	name := b.deploy(spec("abc12345"), 1, 1)
	b.awaitPhase(name, workerapp.Running)
	b.stop()
	b.proxy.Close()
	goleak.VerifyNone(t, before)
}

func TestStopCancelsHangingReconcile(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.source.blocks = true
	b.startAndSync()
	b.deploy(spec("abc12345"), 1, 1)
	b.await("a blocked lookup", func() error {
		if b.source.lookups() == 0 {
			return errors.New("not yet")
		}
		return nil
	})
	ctx, cancel := context.WithTimeout(b.ctx(), 50*time.Millisecond)
	defer cancel()
	require.ErrorContains(t, b.running.Stop(ctx), "cancelled")
	b.running = nil
}

func TestContentLookupTimesOut(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.source.blocks = true
	b.config.Database = config.Database{ConnectTimeout: 10 * time.Millisecond, StatementTimeout: 10 * time.Millisecond}
	b.startAndSync()
	b.deploy(spec("abc12345"), 1, 1)
	b.await("the lookup times out and is retried", func() error {
		if n := b.source.lookups(); n < 3 {
			return fmt.Errorf("%d questions", n)
		}
		return nil
	})
}

func TestStartDoesNotWaitForCluster(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.proxy.setAnswer(func(w http.ResponseWriter, _ *http.Request) bool {
		w.WriteHeader(http.StatusServiceUnavailable)
		return true
	})
	b.start()
	require.EqualError(t, b.running.Ready(b.ctx()), "controller caches not synced")
	b.await("the interruption is logged", func() error {
		if b.logs.FilterMessage("watch interrupted").Len() == 0 {
			return errors.New("not yet")
		}
		return nil
	})
	b.proxy.setAnswer(nil)
	name := b.deploy(spec("abc12345"), 1, 1)
	b.awaitPhase(name, workerapp.Running)
	require.NoError(t, b.running.Ready(b.ctx()))
	b.stop()

	b.proxy.setAnswer(func(w http.ResponseWriter, _ *http.Request) bool {
		w.WriteHeader(http.StatusServiceUnavailable)
		return true
	})
	b.start()
	b.stop()
}

func TestRestartWithoutChangesWritesNothing(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.startAndSync()
	images := []string{healthyImage, "registry.test/fail/pull:1", "registry.test/fail/crash:1"}
	for i := range 9 {
		s := spec(fmt.Sprintf("worker%d", i))
		s.Image = images[i%len(images)]
		b.deploy(s, 1, 1)
	}
	bad := spec("bad")
	bad.MainRegion = "no region!"
	b.awaitPhase(b.deploy(bad, 1, 1), workerapp.Failed)
	for i := range 9 {
		phase := workerapp.Failed
		if i%len(images) == 0 {
			phase = workerapp.Running
		}
		b.awaitPhase(fmt.Sprintf("w-worker%d-u1", i), phase)
	}
	b.waitForIdle()
	b.stop()
	writes, lookups, outcomes := len(b.writes()), b.source.lookups(), len(b.recorder.recorded())
	b.startAndSync()
	b.waitForIdle()
	require.Empty(t, b.writes()[writes:])
	require.Equal(t, lookups, b.source.lookups())
	require.Len(t, b.recorder.recorded(), outcomes)
}

func TestLogHoldsNoSecretsOrEnvironment(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.source.set(nil, fmt.Errorf("look up %s: away", secretKey))
	b.startAndSync()
	name := b.deploy(spec("abc12345"), 1, 1)
	b.await("a failure is logged", func() error {
		if b.logs.FilterMessage("reconcile failed").Len() == 0 {
			return errUnavailable
		}
		return nil
	})
	b.source.set(nil, nil)
	b.awaitPhase(name, workerapp.Running)
	b.patch("configmaps", name+"-env", `{"data": {"FOREIGN": "x"}}`)
	b.waitForIdle()
	require.NotContains(t, b.logText(), secretKey)
	require.NotContains(t, b.logText(), envValue)
	require.Contains(t, b.logText(), "phase changed")
}

func TestWorkerWithoutRowsFailsAndIsRetried(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.source.set(nil, fmt.Errorf("worker: %w", rollout.ErrNoOwner))
	b.startAndSync()
	name := b.deploy(spec("abc12345"), 1, 1)
	require.Contains(t, b.awaitPhase(name, workerapp.Failed).Status.Message, "not in the database")
	b.source.set(nil, nil)
	b.awaitPhase(name, workerapp.Running)
}

func TestAdoptedWorkerAppsLoseTheirSecret(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for name, region := range map[string]string{"w-abc12345-u1": "", "w-bad-u1": "no region!"} {
		content := map[string]any{"workerID": strings.Split(name, "-")[1], "ownerID": "u1", "image": healthyImage, "port": int64(8080),
			"mainRegion": region, "ownerSK": secretKey}
		u := &unstructured.Unstructured{Object: map[string]any{"spec": content}}
		u.SetGroupVersionKind(workerapp.GroupVersion().WithKind(workerapp.Kind))
		u.SetName(name)
		u.SetAnnotations(map[string]string{corev1.LastAppliedConfigAnnotation: `{"spec": {"ownerSK": "` + secretKey + `"}}`})
		_, err := b.admin.Dynamic.Resource(workerapp.Resource()).Namespace(b.worker()).Create(b.ctx(), u, metav1.CreateOptions{})
		require.NoError(t, err)
	}
	b.startAndSync()
	b.awaitPhase("w-abc12345-u1", workerapp.Running)
	b.awaitPhase("w-bad-u1", workerapp.Failed)
	require.Equal(t, "500Mi", b.deployment("w-abc12345-u1").Spec.Template.Spec.Containers[0].Resources.Limits.Memory().String())
	b.waitForIdle()
	writes := len(b.writes())
	b.stop()
	b.startAndSync()
	b.waitForIdle()
	require.Len(t, b.writes(), writes, "the second start writes nothing")
	for _, name := range []string{"w-abc12345-u1", "w-bad-u1"} {
		u, err := b.admin.Get(b.ctx(), workerapp.Resource(), b.worker(), name)
		require.NoError(t, err)
		encoded, err := u.MarshalJSON()
		require.NoError(t, err)
		require.NotContains(t, string(encoded), secretKey)
		require.Equal(t, []string{workerapp.Finalizer}, u.GetFinalizers())
	}
}

package controller_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"

	"app238.com/inner/modules/controller/workerapp"
)

func TestRepeatedlyEvictedVersionFails(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.startAndSync()
	s := spec("abc12345")
	s.Image = "registry.test/fail/unready:1"
	name := b.deploy(s, 1, 1)
	b.await("the version has failed", func() error {
		for _, pod := range b.pods(name) {
			if pod.Status.Phase == corev1.PodRunning {
				b.setPod(pod.Name,
					`{"status": {"phase": "Failed", "reason": "Evicted", "message": "Pod ephemeral local storage usage exceeds 2Gi"}}`)
			}
		}
		app, err := b.app(name)
		if err == nil && app.Status.Phase != workerapp.Failed {
			err = errors.New(app.Status.Message)
		}
		return err
	})
	app, err := b.app(name)
	require.NoError(t, err)
	require.Equal(t, "Evicted: Pod ephemeral local storage usage exceeds 2Gi", app.Status.Message)
	b.awaitRecorded(name)
}

func TestCompletedInitContainerIsNoFailure(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.startAndSync()
	s := spec("abc12345")
	s.Image = "registry.test/fail/unready:1"
	name := b.deploy(s, 1, 1)
	b.await("a pod runs", func() error {
		if pods := b.pods(name); len(pods) != 1 || pods[0].Status.Phase != corev1.PodRunning {
			return fmt.Errorf("%d pods", len(pods))
		}
		return nil
	})
	b.setPods(name, fmt.Sprintf(`{"status": {
		"initContainerStatuses": [{"name": "prepare", "image": "i", "imageID": "i", "ready": true, "restartCount": 1,
			"state": {"terminated": {"exitCode": 0, "reason": "Completed"}}}],
		"containerStatuses": [{"name": %q, "image": "i", "imageID": "i", "ready": false, "restartCount": 3,
			"state": {"waiting": {"reason": "CrashLoopBackOff"}}, "lastState": {"terminated": {"exitCode": 3, "reason": "Error"}}}]}}`, name))
	require.Equal(t, "CrashLoopBackOff: exit code 3 (Error)", b.awaitPhase(name, workerapp.Failed).Status.Message)
}

func (b *bundle) awaitNoPods(name string) {
	b.t.Helper()
	b.await("no pod is left", func() error {
		if n := len(b.pods(name)); n > 0 {
			return fmt.Errorf("%d pods", n)
		}
		return nil
	})
}

func TestFailingWorkerThatNeverServedScalesToZero(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.config.Controller.ScaleToZeroAfter = 2 * time.Second
	b.startAndSync()
	s := spec("abc12345")
	s.Image = "registry.test/fail/pull:1"
	name := b.deploy(s, 1, 1)
	failed := b.awaitPhase(name, workerapp.Failed)
	b.awaitEvent(name, corev1.EventTypeNormal, "ScaledToZero")
	b.awaitNoPods(name)
	b.stop()
	b.startAndSync() // it finds its own objects
	b.waitForIdle()
	app, err := b.app(name)
	require.NoError(t, err)
	require.Equal(t, failed.Status.Message, app.Status.Message)
	require.Equal(t, workerapp.Failed, app.Status.Phase)
	require.Zero(t, *b.deployment(name).Spec.Replicas)
	require.Len(t, b.recorder.recorded(), 1)
	s.Image = "registry.test/healthy:2"
	b.deploy(s, 2, 2)
	b.awaitPhase(name, workerapp.Running)
}

func TestFailingWorkerThatServedKeepsItsPods(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.config.Controller.ScaleToZeroAfter = time.Second
	b.source.served = true
	b.startAndSync()
	s := spec("abc12345")
	s.Image = "registry.test/fail/pull:1"
	name := b.deploy(s, 1, 1)
	b.awaitPhase(name, workerapp.Failed)
	reads := b.source.lookups()
	b.await("the rows were asked whether it has served", func() error {
		if b.source.lookups() == reads {
			return errors.New("not yet")
		}
		return nil
	})
	b.waitForIdle()
	require.EqualValues(t, 1, *b.deployment(name).Spec.Replicas)
}

func TestRedeployAfterScaleToZeroFailsAgain(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.config.Controller.ScaleToZeroAfter, b.config.Controller.ProgressDeadline = time.Second, 3*time.Second
	b.startAndSync()
	s := spec("abc12345")
	s.Image = "registry.test/fail/unready:1"
	name := b.deploy(s, 1, 1)
	b.awaitEvent(name, corev1.EventTypeNormal, "ScaledToZero")
	b.awaitNoPods(name)
	b.deploy(s, 2, 2)
	b.await("the second version has failed", func() error {
		if n := len(b.recorder.recorded()); n < 2 {
			return fmt.Errorf("%d outcomes", n)
		}
		return nil
	})
	require.Contains(t, b.recorder.recorded()[1].Reason, "no progress within the deadline")
}

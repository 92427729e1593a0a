package controller_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"app238.com/inner/modules/controller/rollout"
	"app238.com/inner/modules/controller/workerapp"
)

func TestFailingContainerFailsRolloutWithItsReason(t *testing.T) {
	t.Parallel()
	for image, message := range map[string][]string{
		"registry.test/fail/crash:1": {"exit code 1", "the program ended by itself"},
		"registry.test/fail/oom:1":   {"exit code 137", "OOMKilled", "more memory than its limit"},
		"registry.test/fail/pull:1":  {"Pull", "registry.test/fail/pull:1"},
	} {
		t.Run(image, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			b.startAndSync()
			s := spec("abc12345")
			s.Image = image
			name := b.deploy(s, 7, 42)
			app := b.awaitPhase(name, workerapp.Failed)
			for _, word := range message {
				require.Contains(t, app.Status.Message, word)
			}
			require.Equal(t, []rollout.Outcome{{WorkerID: "abc12345", OwnerID: "u1", Origin: workerapp.Origin{Version: 7, Task: 42},
				Reason: app.Status.Message}}, b.recorder.recorded())

			b.awaitRestarts(name, 2)
			b.waitForIdle()
			require.Len(t, b.recorder.recorded(), 1, "one failure is one outcome, however often the pod restarts")
			again, err := b.app(name)
			require.NoError(t, err)
			require.Equal(t, app.ResourceVersion, again.ResourceVersion, "the status does not change")
		})
	}
}

func TestFailedVersionKeepsPreviousServing(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.startAndSync()
	name := b.deploy(spec("abc12345"), 1, 1)
	b.awaitPhase(name, workerapp.Running)
	serving := b.pods(name)[0].UID
	s := spec("abc12345")
	s.Image = "registry.test/fail/pull:2"
	b.deploy(s, 2, 2)
	app := b.awaitPhase(name, workerapp.Failed)
	require.EqualValues(t, 2, app.Status.Version)
	var uids []string
	for _, pod := range b.pods(name) {
		uids = append(uids, string(pod.UID))
	}
	require.Len(t, uids, 2)
	require.Contains(t, uids, string(serving))

	b.deploy(spec("abc12345"), 3, 3)
	b.awaitPhase(name, workerapp.Running)
	require.Equal(t, serving, b.pods(name)[0].UID, "a redeploy of the running version starts no pod")
	require.Equal(t, []rollout.Outcome{
		{WorkerID: "abc12345", OwnerID: "u1", Origin: workerapp.Origin{Version: 1, Task: 1}, Running: true},
		{WorkerID: "abc12345", OwnerID: "u1", Origin: workerapp.Origin{Version: 2, Task: 2}, Reason: app.Status.Message},
		{WorkerID: "abc12345", OwnerID: "u1", Origin: workerapp.Origin{Version: 3, Task: 3}, Running: true},
	}, b.recorder.recorded(), "the first version's pods do not complete the second")
}

func TestUnreadyPodFailsAtDeadline(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.config.Controller.ProgressDeadline = 5 * time.Second
	b.startAndSync()
	s := spec("abc12345")
	s.Image = "registry.test/fail/unready:1"
	name := b.deploy(s, 1, 1)
	app := b.awaitPhase(name, workerapp.Failed)
	require.Contains(t, app.Status.Message, "does the program listen on TCP port 8080?")
	require.Len(t, b.recorder.recorded(), 1)
}

func TestUnschedulablePodFailsAtDeadline(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.config.Controller.ProgressDeadline = 2 * time.Second
	b.startAndSync()
	s := spec("abc12345")
	s.MainRegion = "atlantis"
	name := b.deploy(s, 1, 1)
	require.Contains(t, b.awaitPhase(name, workerapp.Failed).Status.Message, "Unschedulable")
}

func TestFailedOutcomeRecordIsRetried(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.recorder.set(errors.New("marker of the driver"))
	b.startAndSync()
	name := b.deploy(spec("abc12345"), 7, 42)
	app := b.awaitPhase(name, workerapp.Running)
	require.Equal(t, "False", recordedCondition(app))
	b.await("several attempts", func() error {
		if n := b.recorder.refusals(); n < 3 {
			return fmt.Errorf("%d attempts", n)
		}
		return nil
	})
	require.NotContains(t, fmt.Sprint(app.Status), "marker of the driver")
	b.recorder.set(nil)
	b.awaitRecorded(name)
	require.Len(t, b.recorder.recorded(), 1)
}

func TestOutcomeDuringDowntimeIsRecordedAfterStart(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.startAndSync()
	s := spec("abc12345")
	s.Image = "registry.test/slow/app:1"
	name := b.deploy(s, 7, 42)
	b.await("the pod is started", func() error {
		if len(b.pods(name)) == 0 {
			return errors.New("no pod")
		}
		return nil
	})
	b.stop()
	b.await("the rollout completes on its own", func() error {
		if d := b.deployment(name); d.Status.AvailableReplicas != 1 {
			return fmt.Errorf("%+v", d.Status)
		}
		return nil
	})
	require.Empty(t, b.recorder.recorded())
	b.startAndSync()
	b.awaitPhase(name, workerapp.Running)
	require.Len(t, b.recorder.recorded(), 1)
}

func TestCrashBeforeStatusRepeatsRecord(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.startAndSync()
	b.proxy.setAnswer(refuseRunningOnce(t))
	name := b.deploy(spec("abc12345"), 7, 42)
	b.awaitRecorded(name)
	outcomes := b.recorder.recorded()
	require.Len(t, outcomes, 2)
	require.Equal(t, outcomes[0], outcomes[1])
}

// awaitRestarts waits until a container of the worker restarted this often, or cannot be pulled.
func (b *bundle) awaitRestarts(name string, restarts int32) {
	b.t.Helper()
	b.await("the pod restarts", func() error {
		for _, pod := range b.pods(name) {
			for _, c := range pod.Status.ContainerStatuses {
				pulling := c.State.Waiting != nil && c.State.Waiting.Reason == "ImagePullBackOff"
				if c.RestartCount >= restarts || pulling {
					return nil
				}
			}
		}
		return errors.New("not yet")
	})
}

func recordedCondition(app *workerapp.WorkerApp) string {
	for _, c := range app.Status.Conditions {
		if c.Type == workerapp.RecordedCondition {
			return string(c.Status)
		}
	}
	return ""
}

func (b *bundle) awaitRecorded(name string) {
	b.t.Helper()
	b.await(name+" is recorded", func() error {
		app, err := b.app(name)
		if err == nil && recordedCondition(app) != "True" {
			err = fmt.Errorf("status: %+v", app.Status)
		}
		return err
	})
}

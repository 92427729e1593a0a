package controller_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"app238.com/inner/app/config"
	"app238.com/inner/modules/controller/workerapp"
)

// toText returns the text of a table cell, which JSON may decode as any type of number.
func toText(cell any) string { return fmt.Sprint(cell) }

// awaitEvent waits for an event about a WorkerApp.
func (b *bundle) awaitEvent(name, kind, reason string) corev1.Event {
	b.t.Helper()
	var found corev1.Event
	b.await("event "+reason, func() error {
		list, err := b.admin.Typed.CoreV1().Events(b.worker()).List(b.ctx(), metav1.ListOptions{
			FieldSelector: "involvedObject.kind=WorkerApp,involvedObject.name=" + name})
		if err != nil {
			return err
		}
		for _, e := range list.Items {
			if e.Type == kind && e.Reason == reason {
				found = e
				return nil
			}
		}
		return fmt.Errorf("%d others", len(list.Items))
	})
	return found
}

func TestEventsReportPhasesAndRepairs(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.startAndSync()
	name := b.deploy(spec("abc12345"), 1, 1)
	app := b.awaitPhase(name, workerapp.Running)
	require.Equal(t, app.UID, b.awaitEvent(name, corev1.EventTypeNormal, "RolloutComplete").InvolvedObject.UID)

	b.patch("configmaps", name+"-env", `{"data": {"GREETING": "forged"}}`)
	require.Equal(t, "ConfigMap "+name+"-env was edited and is restored",
		b.awaitEvent(name, corev1.EventTypeNormal, "Restored").Message)

	s := spec("abc12345")
	s.Image = "registry.test/fail/pull:2"
	b.deploy(s, 2, 2)
	b.awaitPhase(name, workerapp.Failed)
	require.Contains(t, b.awaitEvent(name, corev1.EventTypeWarning, "ImageNotPulled").Message, "registry.test/fail/pull:2")
}

func TestRestartWritesNoEvent(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.startAndSync()
	name := b.deploy(spec("abc12345"), 1, 1)
	b.awaitPhase(name, workerapp.Running)
	b.awaitEvent(name, corev1.EventTypeNormal, "RolloutComplete")
	b.stop()
	b.startAndSync()
	b.waitForIdle()
	list, err := b.admin.Typed.CoreV1().Events(b.worker()).List(b.ctx(), metav1.ListOptions{
		FieldSelector: "involvedObject.kind=WorkerApp,involvedObject.name=" + name})
	require.NoError(t, err)
	require.Len(t, list.Items, 1)
}

func TestContendedWorkerAppIsRateLimitedAlone(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.config.Controller.WriteRateLimit = config.WriteRateLimit{Burst: 8, Interval: time.Hour}
	b.startAndSync()
	contended, other := b.deploy(spec("contended"), 1, 1), b.deploy(spec("other"), 1, 1)
	b.awaitPhase(contended, workerapp.Running)
	b.awaitPhase(other, workerapp.Running)
	isRestored := func(name string) error {
		if b.configMap(name).Data["GREETING"] != envValue {
			return errors.New("not yet")
		}
		return nil
	}
	rounds := 0
	for rounds < 20 {
		b.patch("configmaps", contended+"-env", `{"data": {"GREETING": "forged"}}`)
		b.patch("configmaps", other+"-env", fmt.Sprintf(`{"metadata": {"labels": {"round": "%d"}}}`, rounds))
		b.waitForIdle()
		if isRestored(contended) != nil {
			break
		}
		rounds++
	}
	require.Less(t, rounds, 8, "it is rate limited")
	require.Positive(t, rounds)
	b.patch("configmaps", other+"-env", `{"data": {"GREETING": "forged"}}`)
	b.awaitWithin(repairTimeout, "the other one is repaired at once", func() error { return isRestored(other) })
	require.Error(t, isRestored(contended))
	b.deploy(spec("contended"), 1, 2)
	b.awaitPhase(contended, workerapp.Running)
	require.NoError(t, isRestored(contended), "a new task is not delayed")
}

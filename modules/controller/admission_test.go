package controller_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"app238.com/inner/modules/controller/workerapp"
	"app238.com/inner/test/admission"
)

// requireRestartWithoutWrites restarts the controller and requires that it writes no object and no Restored event.
func (b *bundle) requireRestartWithoutWrites(name string) {
	b.t.Helper()
	b.waitForIdle()
	writes := len(b.writes())
	b.stop()
	b.startAndSync()
	b.waitForIdle()
	require.Empty(b.t, b.writes()[writes:])
	list, err := b.admin.Typed.CoreV1().Events(b.worker()).List(b.ctx(), metav1.ListOptions{
		FieldSelector: "involvedObject.kind=WorkerApp,involvedObject.name=" + name})
	require.NoError(b.t, err)
	for _, event := range list.Items {
		require.NotEqual(b.t, "Restored", event.Reason, event.Message)
	}
}

func TestWebhookMutationsAreNoDrift(t *testing.T) {
	t.Parallel()
	b := setup(t)
	name := workerapp.Name("abc12345", "u1")
	children := b.children(name)
	const container = "/spec/template/spec/containers/0"
	for _, hook := range []struct {
		of    childRef
		patch string
	}{
		{children[0], `[{"op": "add", "path": "/data/INJECTED", "value": "x"}]`},
		{children[2],
			`[{"op": "add", "path": "/spec/sessionAffinity", "value": "ClientIP"}, {"op": "remove", "path": "/spec/selector"}]`},
		{children[3], `[{"op": "replace", "path": "` + container + `/image", "value": "mirror.test/healthy:1"},
			{"op": "remove", "path": "` + container + `/resources/limits/cpu"},
			{"op": "add", "path": "/spec/template/spec/nodeSelector", "value": {"kubernetes.io/os": "linux"}}]`},
		{children[5],
			`[{"op": "add", "path": "/spec/tls/options", "value": {"name": "strict"}}, {"op": "replace", "path": "/spec/entryPoints", "value": ["other"]}]`},
		{children[6], `[{"op": "remove", "path": "/spec/egress/0"}]`},
	} {
		admission.Mutate(t, b.admin, hook.of.resource, hook.of.namespace, hook.patch)
	}
	b.startAndSync()
	b.deploy(spec("abc12345"), 1, 1)
	b.await("a Deployment", func() error {
		_, err := b.admin.Get(b.ctx(), children[3].resource, children[3].namespace, name)
		return err
	})
	require.Equal(t, "mirror.test/healthy:1", b.deployment(name).Spec.Template.Spec.Containers[0].Image)
	require.Empty(t, b.service(name).Spec.Selector)
	b.requireRestartWithoutWrites(name)
	b.patchDeployment(name, `{"spec": {"template": {"spec": {"containers": [{"name": "`+name+`", "command": ["sh"]}]}}}}`)
	b.awaitWithin(repairTimeout, "drift is reverted nevertheless", func() error {
		if command := b.deployment(name).Spec.Template.Spec.Containers[0].Command; command != nil {
			return fmt.Errorf("%v", command)
		}
		return nil
	})
}

func TestRoundedQuantitiesAreNoDrift(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.startAndSync()
	s := spec("abc12345")
	s.AssignedCPU, s.AssignedMemory, s.AssignedDisk = "0.0005", "67108864.5", "0.1Gi"
	name := b.deploy(s, 1, 1)
	b.awaitPhase(name, workerapp.Running)
	limits := b.deployment(name).Spec.Template.Spec.Containers[0].Resources.Limits
	require.Equal(t, "1m", limits.Cpu().String())
	b.requireRestartWithoutWrites(name)
}

func TestScaledDeploymentIsRestored(t *testing.T) {
	t.Parallel()
	for name, conflicts := range map[string]int{"at once": 0, "while its controller writes to it": 2} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			testScaled(t, conflicts)
		})
	}
}

// testScaled makes this many updates of the Deployment conflict.
func testScaled(t *testing.T, conflicts int) {
	b := setup(t)
	var left atomic.Int64
	left.Store(int64(conflicts))
	b.proxy.setAnswer(func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodPut || !strings.Contains(r.URL.Path, "/deployments/") || left.Add(-1) < 0 {
			return false
		}
		writeStatus(w, http.StatusConflict)
		return true
	})
	b.startAndSync()
	name := b.deploy(spec("abc12345"), 1, 1)
	b.awaitPhase(name, workerapp.Running)
	scale, err := b.admin.Typed.AppsV1().Deployments(b.worker()).GetScale(b.ctx(), name, metav1.GetOptions{})
	require.NoError(t, err)
	scale.Spec.Replicas = 3
	_, err = b.admin.Typed.AppsV1().Deployments(b.worker()).UpdateScale(b.ctx(), name, scale, metav1.UpdateOptions{})
	require.NoError(t, err)
	require.Equal(t, "Deployment "+name+" was edited and is restored",
		b.awaitEvent(name, corev1.EventTypeNormal, "Restored").Message)
	require.EqualValues(t, 1, *b.deployment(name).Spec.Replicas)
}

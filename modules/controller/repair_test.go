package controller_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	"app238.com/inner/modules/controller/workerapp"
)

func TestDeletedChildrenAreRecreated(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.startAndSync()
	name := b.deploy(spec("abc12345"), 1, 1)
	b.awaitPhase(name, workerapp.Running)
	for _, k := range b.children(name) {
		before, err := b.admin.Get(b.ctx(), k.resource, k.namespace, k.name)
		require.NoError(t, err)
		require.NoError(t, b.admin.Delete(b.ctx(), k.resource, k.namespace, k.name, ""))
		b.awaitWithin(repairTimeout, k.resource.Resource+" is recreated", func() error {
			after, err := b.admin.Get(b.ctx(), k.resource, k.namespace, k.name)
			if err == nil && after.GetUID() == before.GetUID() {
				return errors.New("not deleted yet")
			}
			return err
		})
	}
	b.awaitPhase(name, workerapp.Running)
	require.Equal(t, envValue, b.configMap(name).Data["GREETING"], "with its data")
	require.Equal(t, secretKey, string(b.secret(name).Data["RAYSAIL_SECRET_KEY"]))
	require.Len(t, b.recorder.recorded(), 1, "a repair is no outcome")
}

func TestEditedChildrenAreRestored(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.startAndSync()
	name := b.deploy(spec("abc12345"), 1, 1)
	b.awaitPhase(name, workerapp.Running)
	children := b.children(name)
	configMap, secret, service, deployment, external, route := children[0], children[1], children[2], children[3], children[4],
		children[5]
	for _, edit := range []struct {
		what  string
		of    childRef
		patch string
	}{
		{"image", deployment, `{"spec": {"template": {"spec": {"containers": [{"name": "` + name +
			`", "image": "registry.test/other:1"}]}}}}`},
		{"replicas", deployment, `{"spec": {"replicas": 3}}`},
		{"pause", deployment, `{"spec": {"paused": true}}`},
		{"generation", deployment, `{"metadata": {"annotations": {"console.app238.com/generation": "99"}}}`},
		{"owner", deployment, `{"metadata": {"ownerReferences": null}}`},
		{"labels", deployment, `{"metadata": {"labels": {"worker-id": null, "app": "other"}}}`},
		{"value", configMap, `{"data": {"GREETING": "forged"}}`},
		{"unmanaged key", configMap, `{"data": {"UNMANAGED": "x"}}`},
		{"unmanaged bytes", configMap, `{"binaryData": {"UNMANAGED": "eA=="}}`},
		{"lost key", configMap, `{"data": null}`},
		{"immutable", configMap, `{"immutable": true, "data": {"GREETING": "forged"}}`},
		{"reserved value", secret, `{"data": {"RAYSAIL_UID": "eA=="}}`},
		{"secret key", secret, `{"data": {"RAYSAIL_SECRET_KEY": "eA=="}}`},
		{"reserved key lost", secret, `{"data": {"COMBINATOR_API_ENDPOINT": null}}`},
		{"selector", service, `{"spec": {"selector": {"nobody": "here"}}}`},
		{"service port", service, `{"spec": {"ports": [{"name": "http", "port": 1}]}}`},
		{"target", external, `{"spec": {"externalName": "elsewhere.test"}}`},
		{"hosts", route, `{"spec": {"routes": [{"match": "Host(` + "`x`" + `)", "kind": "Rule"}]}}`},
		{"middleware", route, `{"spec": {"routes": [{"match": "Host(` + "`x`" +
			`)", "kind": "Rule", "middlewares": [{"name": "x"}]}]}}`},
		{"certificate", route, `{"spec": {"tls": {"secretName": "other"}}}`},
	} {
		desired := b.content(edit.of)
		b.patchAt(edit.of, edit.patch)
		b.awaitWithin(repairTimeout, edit.what+" restored", func() error {
			if now := b.content(edit.of); now != desired {
				return fmt.Errorf("%s\nis not\n%s", now, desired)
			}
			return nil
		})
	}
	b.awaitPhase(name, workerapp.Running)
	require.Len(t, b.recorder.recorded(), 1)
}

func TestImmutableServiceIsReplaced(t *testing.T) {
	t.Parallel()
	b := setup(t)
	name := workerapp.Name("abc12345", "u1")
	_, err := b.admin.Typed.CoreV1().Services(b.worker()).Create(b.ctx(), &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: name + "-http", Labels: workerapp.Labels("abc12345", "u1")},
		Spec:       corev1.ServiceSpec{ClusterIP: corev1.ClusterIPNone, Ports: []corev1.ServicePort{{Port: 8080}}},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
	b.startAndSync()
	b.deploy(spec("abc12345"), 1, 1)
	b.awaitPhase(name, workerapp.Running)
	require.NotEqual(t, "None", b.service(name).Spec.ClusterIP)
}

func TestServiceMadeHeadlessIsReplaced(t *testing.T) {
	t.Parallel()
	for name, byInner := range map[string]bool{"by somebody": false, "with every field as applied": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			b.startAndSync()
			name := b.deploy(spec("abc12345"), 1, 1)
			b.awaitPhase(name, workerapp.Running)
			service := b.children(name)[2]
			b.stop()
			b.makeHeadless(service, byInner)
			b.startAndSync()
			b.awaitWithin(repairTimeout, "an address", func() error {
				now, err := b.admin.Typed.CoreV1().Services(b.worker()).Get(b.ctx(), service.name, metav1.GetOptions{})
				if err == nil && now.Spec.ClusterIP == corev1.ClusterIPNone {
					err = errors.New("it is headless")
				}
				return err
			})
		})
	}
}

// makeHeadless creates a Service anew without an address, as somebody or as Inner.
func (b *bundle) makeHeadless(service childRef, byInner bool) {
	b.t.Helper()
	live, err := b.admin.Get(b.ctx(), service.resource, service.namespace, service.name)
	require.NoError(b.t, err)
	require.NoError(b.t, b.admin.Delete(b.ctx(), service.resource, service.namespace, service.name, ""))
	for _, field := range []string{"uid", "resourceVersion", "managedFields", "creationTimestamp"} {
		unstructured.RemoveNestedField(live.Object, "metadata", field)
	}
	spec, _, err := unstructured.NestedMap(live.Object, "spec")
	require.NoError(b.t, err)
	live.Object["spec"] = map[string]any{"selector": spec["selector"], "ports": spec["ports"], "clusterIP": corev1.ClusterIPNone}
	delete(live.Object, "status")
	if !byInner {
		_, err = b.admin.Create(b.ctx(), service.resource, live)
		require.NoError(b.t, err)
		return
	}
	_, err = b.admin.Apply(b.ctx(), service.resource, live)
	require.NoError(b.t, err)
	unstructured.RemoveNestedField(live.Object, "spec", "clusterIP")
	live, err = b.admin.Apply(b.ctx(), service.resource, live)
	require.NoError(b.t, err)
	address, _, err := unstructured.NestedString(live.Object, "spec", "clusterIP")
	require.NoError(b.t, err)
	require.Equal(b.t, corev1.ClusterIPNone, address)
}

func TestRejectedDeploymentFailsWorkerApp(t *testing.T) {
	t.Parallel()
	b := setup(t)
	name := workerapp.Name("abc12345", "u1")
	old := b.unmanagedDeployment(name)
	b.startAndSync()
	b.deploy(spec("abc12345"), 1, 1)
	app := b.awaitPhase(name, workerapp.Failed)
	require.Contains(t, app.Status.Message, "the cluster refuses the Deployment")
	require.Contains(t, app.Status.Message, "field is immutable")
	b.await("the route is created nevertheless", func() error {
		_, err := b.admin.Get(b.ctx(), routes(), b.ingress(), name)
		return err
	})
	require.Equal(t, old.UID, b.deployment(name).UID, "a Deployment is never replaced: its pods serve")
	require.NoError(t, b.admin.Typed.AppsV1().Deployments(b.worker()).Delete(b.ctx(), name, metav1.DeleteOptions{}))
	b.awaitPhase(name, workerapp.Running)
}

func TestRepairNeedsNoDatabase(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.startAndSync()
	name := b.deploy(spec("abc12345"), 1, 1)
	b.awaitPhase(name, workerapp.Running)
	b.source.set(nil, errUnavailable)
	children := b.children(name)
	require.NoError(t, b.admin.Delete(b.ctx(), children[3].resource, b.worker(), name, ""))
	require.NoError(t, b.admin.Delete(b.ctx(), children[5].resource, b.ingress(), name, ""))
	for _, k := range []childRef{children[3], children[5]} {
		b.awaitWithin(repairTimeout, k.resource.Resource+" is recreated", func() error {
			_, err := b.admin.Get(b.ctx(), k.resource, k.namespace, k.name)
			return err
		})
	}
	require.NoError(t, b.admin.Delete(b.ctx(), children[0].resource, b.worker(), name+"-env", ""))
	require.NoError(t, b.admin.Delete(b.ctx(), children[4].resource, b.ingress(), name+"-ext", ""))
	b.awaitWithin(repairTimeout, "what needs no database is recreated", func() error {
		_, err := b.admin.Get(b.ctx(), children[4].resource, b.ingress(), name+"-ext")
		return err
	})
	require.Empty(t, b.configMaps())
	b.source.set(nil, nil)
	b.awaitWithin(repairTimeout, "the ConfigMap is recreated", func() error {
		if len(b.configMaps()) == 0 {
			return errUnavailable
		}
		return nil
	})
	b.awaitPhase(name, workerapp.Running)
}

func TestStaleCacheCausesNoSecondWrite(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.startAndSync()
	for i := range 20 {
		b.deploy(spec(fmt.Sprintf("worker%d", i)), 1, 1)
	}
	for i := range 20 {
		b.awaitPhase(fmt.Sprintf("w-worker%d-u1", i), workerapp.Running)
	}
	b.waitForIdle()
	require.Len(t, b.writes(), 20*writesForNew)
	for range 20 {
		_, err := b.admin.Dynamic.Resource(workerapp.Resource()).Namespace(b.worker()).Patch(b.ctx(), "w-worker7-u1",
			types.MergePatchType, []byte(`{"metadata": {"labels": {"touched": "x"}}}`), metav1.PatchOptions{})
		require.NoError(t, err)
	}
	b.waitForIdle()
	require.Len(t, b.writes(), 20*writesForNew, "a reconcile without changes writes nothing")
}

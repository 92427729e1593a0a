package e2e_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"app238.com/inner/modules/controller/workerapp"
)

// healing is how soon drift is to be gone.
const healing = 5 * time.Second

func TestDriftIsRepaired(t *testing.T) {
	t.Parallel()
	w := newFixture(t)
	i := w.start(t)
	w.user(t, "u1", "sk_e2e")
	k := w.worker(t, "u1", "w1", "registry.test/app:1", "env_json", `{"A":"b"}`)
	i.accept(t, k.deployTask())
	w.awaitState(t, k, "active", "success")
	before := w.objects(t)
	deployments := w.clients.Typed.AppsV1().Deployments(w.namespaces.Worker)
	edit := `{"spec":{"replicas":3,"template":{"spec":{"containers":[{"name":"` + k.name() + `","image":"evil:1"}]}}}}`
	_, err := deployments.Patch(t.Context(), k.name(), types.StrategicMergePatchType, []byte(edit), metav1.PatchOptions{})
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		d, err := deployments.Get(t.Context(), k.name(), metav1.GetOptions{})
		return err == nil && *d.Spec.Replicas == 1 && d.Spec.Template.Spec.Containers[0].Image == "registry.test/app:1"
	}, healing, 50*time.Millisecond, "the edited Deployment")
	core := func(resource string) schema.GroupVersionResource {
		return schema.GroupVersionResource{Version: "v1", Resource: resource}
	}
	routes := schema.GroupVersionResource{Group: "traefik.io", Version: "v1alpha1", Resource: "ingressroutes"}
	for _, lost := range []struct {
		resource        schema.GroupVersionResource
		namespace, name string
	}{
		{core("configmaps"), w.namespaces.Worker, k.name() + "-env"},
		{core("secrets"), w.namespaces.Worker, k.name() + "-secret"},
		{core("services"), w.namespaces.Worker, k.name() + "-http"},
		{core("services"), w.namespaces.Ingress, k.name() + "-ext"},
		{routes, w.namespaces.Ingress, k.name()},
	} {
		before, err := w.clients.Get(t.Context(), lost.resource, lost.namespace, lost.name)
		require.NoError(t, err)
		require.NoError(t, w.clients.Delete(t.Context(), lost.resource, lost.namespace, lost.name, ""))
		require.Eventually(t, func() bool {
			after, err := w.clients.Get(t.Context(), lost.resource, lost.namespace, lost.name)
			return err == nil && after.GetUID() != before.GetUID()
		}, healing, 50*time.Millisecond, "%s %s", lost.resource.Resource, lost.name)
	}
	require.Subset(t, w.objects(t), []string{before[0]})
}

// actDrift changes a worker's objects by hand, deletes every object of the worker and waits until all is as it was.
func (w *fixture) actDrift(t *testing.T, k worker) {
	t.Helper()
	n, worker, ingress := k.name(), w.namespaces.Worker, w.namespaces.Ingress
	w.addByHand(t, "apps", "v1", "deployments", worker, n, `{"spec":{"template":{"spec":{"hostNetwork":true}}}}`)
	w.addByHand(t, "", "v1", "configmaps", worker, workerapp.EnvName(n), `{"data":{"FOREIGN":"x"}}`)
	w.addByHand(t, "traefik.io", "v1alpha1", "ingressroutes", ingress, n, `{"spec":{"tls":{"options":{"name":"weak"}}}}`)
	for _, o := range []struct {
		resource        schema.GroupVersionResource
		namespace, name string
	}{
		{schema.GroupVersionResource{Group: "apps", Version: "v1", Resource: "deployments"}, worker, n},
		// Once more: what happens again changes the event that tells of it.
		{schema.GroupVersionResource{Group: "apps", Version: "v1", Resource: "deployments"}, worker, n},
		{schema.GroupVersionResource{Version: "v1", Resource: "services"}, worker, workerapp.ServiceName(n)},
		{schema.GroupVersionResource{Version: "v1", Resource: "configmaps"}, worker, workerapp.EnvName(n)},
		{schema.GroupVersionResource{Version: "v1", Resource: "services"}, ingress, workerapp.ExternalName(n)},
		{schema.GroupVersionResource{Group: "traefik.io", Version: "v1alpha1", Resource: "ingressroutes"}, ingress, n},
	} {
		before, err := w.clients.Get(t.Context(), o.resource, o.namespace, o.name)
		require.NoError(t, err)
		require.NoError(t, w.clients.Delete(t.Context(), o.resource, o.namespace, o.name, ""))
		require.Eventually(t, func() bool {
			after, err := w.clients.Get(t.Context(), o.resource, o.namespace, o.name)
			return err == nil && after.GetUID() != before.GetUID()
		}, timeout, 50*time.Millisecond, "%s %s does not come back", o.resource.Resource, o.name)
	}
}

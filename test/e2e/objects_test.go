package e2e_test

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"app238.com/inner/modules/controller/workerapp"
)

// objects returns kind and name of everything of workers in both namespaces.
func (w *fixture) objects(t *testing.T) []string {
	t.Helper()
	var found []string
	for _, r := range []struct {
		resource  schema.GroupVersionResource
		namespace string
	}{
		{workerapp.Resource(), w.namespaces.Worker},
		{schema.GroupVersionResource{Group: "apps", Version: "v1", Resource: "deployments"}, w.namespaces.Worker},
		{schema.GroupVersionResource{Group: "apps", Version: "v1", Resource: "replicasets"}, w.namespaces.Worker},
		{schema.GroupVersionResource{Version: "v1", Resource: "pods"}, w.namespaces.Worker},
		{schema.GroupVersionResource{Version: "v1", Resource: "services"}, w.namespaces.Worker},
		{schema.GroupVersionResource{Version: "v1", Resource: "secrets"}, w.namespaces.Worker},
		{schema.GroupVersionResource{Version: "v1", Resource: "configmaps"}, w.namespaces.Worker},
		{schema.GroupVersionResource{Group: "networking.k8s.io", Version: "v1", Resource: "networkpolicies"}, w.namespaces.Worker},
		{schema.GroupVersionResource{Group: "policy", Version: "v1", Resource: "poddisruptionbudgets"}, w.namespaces.Worker},
		{schema.GroupVersionResource{Version: "v1", Resource: "services"}, w.namespaces.Ingress},
		{schema.GroupVersionResource{Group: "traefik.io", Version: "v1alpha1", Resource: "ingressroutes"}, w.namespaces.Ingress},
	} {
		list, err := w.clients.Dynamic.Resource(r.resource).Namespace(r.namespace).List(t.Context(), metav1.ListOptions{})
		require.NoError(t, err)
		for _, item := range list.Items {
			if item.GetName() != "kube-root-ca.crt" {
				found = append(found, r.resource.Resource+"/"+item.GetName())
			}
		}
	}
	return found
}

// awaitNoObjects waits until nothing of any worker is left.
func (w *fixture) awaitNoObjects(t *testing.T) {
	t.Helper()
	var left []string
	require.Eventually(t, func() bool {
		left = w.objects(t)
		return len(left) == 0
	}, timeout, 100*time.Millisecond, "something is left: %v", left)
}

// ready counts the pods that are Ready.
func (w *fixture) ready(t *testing.T) int {
	t.Helper()
	n := 0
	for _, d := range w.listDeployments(t) {
		n += int(d.Status.ReadyReplicas)
	}
	return n
}

// deployments counts the Deployments.
func (w *fixture) deployments(t *testing.T) int {
	t.Helper()
	return len(w.listDeployments(t))
}

func (w *fixture) listDeployments(t *testing.T) []appsv1.Deployment {
	t.Helper()
	list, err := w.clients.Typed.AppsV1().Deployments(w.namespaces.Worker).List(t.Context(), metav1.ListOptions{})
	require.NoError(t, err)
	return list.Items
}

// addByHand changes an object as somebody with kubectl would, and waits until that is taken back.
func (w *fixture) addByHand(t *testing.T, group, version, resource, namespace, name, patch string) {
	t.Helper()
	const somebody = "somebody"
	objects := w.clients.Dynamic.Resource(schema.GroupVersionResource{Group: group, Version: version,
		Resource: resource}).Namespace(namespace)
	_, err := objects.Patch(t.Context(), name, types.MergePatchType, []byte(patch), metav1.PatchOptions{FieldManager: somebody})
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		now, err := objects.Get(t.Context(), name, metav1.GetOptions{})
		return err == nil &&
			!slices.ContainsFunc(now.GetManagedFields(), func(e metav1.ManagedFieldsEntry) bool { return e.Manager == somebody })
	}, timeout, 50*time.Millisecond, "what was added to %s %s stays", resource, name)
}

package controller_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	"app238.com/inner/modules/controller/workerapp"
)

func TestDeletedWorkerAppLeavesNoChildren(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.startAndSync()
	name := b.deploy(spec("abc12345"), 1, 1)
	b.awaitPhase(name, workerapp.Running)
	require.NoError(t, b.admin.Delete(b.ctx(), workerapp.Resource(), b.worker(), name, ""))
	b.await("no child is left", func() error { return b.absent(name) })
	_, err := b.app(name)
	require.True(t, apierrors.IsNotFound(err))

	b.deploy(spec("abc12345"), 2, 2)
	b.awaitPhase(name, workerapp.Running)
}

func TestFinalizationByAStaleCacheKeepsALaterRoute(t *testing.T) {
	t.Parallel()
	for name, method := range map[string]string{"before it reads": http.MethodGet, "before it deletes": http.MethodDelete} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			testStaleFinalization(t, method)
		})
	}
}

// testStaleFinalization has a worker deployed again just before the first request about its route with this method.
func testStaleFinalization(t *testing.T, method string) {
	t.Helper()
	b := setup(t)
	b.startAndSync()
	name := b.deploy(spec("abc12345"), 1, 1)
	b.awaitPhase(name, workerapp.Running)
	var once sync.Once
	var later types.UID
	b.proxy.setAnswer(func(_ http.ResponseWriter, r *http.Request) bool {
		uri := r.URL.RequestURI()
		if r.Method == method && strings.Contains(uri, "/ingressroutes") && strings.HasSuffix(uri, name) {
			once.Do(func() { later = b.redeployed(name) })
		}
		return false
	})
	require.NoError(t, b.admin.Delete(b.ctx(), workerapp.Resource(), b.worker(), name, ""))
	b.awaitPhase(name, workerapp.Running)
	b.waitForIdle()
	route, err := b.admin.Get(b.ctx(), routes(), b.ingress(), name)
	require.NoError(t, err)
	require.Equal(t, later, route.GetUID(), "it was never away")
}

func (b *bundle) redeployed(name string) types.UID {
	b.patchAt(childRef{workerapp.Resource(), b.worker(), name}, `{"metadata": {"finalizers": null}}`)
	b.deploy(spec("abc12345"), 2, 2)
	route, err := b.admin.Get(b.ctx(), routes(), b.ingress(), name)
	require.NoError(b.t, err)
	require.NoError(b.t, b.admin.Delete(b.ctx(), routes(), b.ingress(), name, ""))
	for _, field := range []string{"uid", "resourceVersion", "managedFields", "creationTimestamp"} {
		unstructured.RemoveNestedField(route.Object, "metadata", field)
	}
	route, err = b.admin.Create(b.ctx(), routes(), route)
	require.NoError(b.t, err)
	return route.GetUID()
}

func TestWorkerAppDeletedWhileDownLeavesNoChildren(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.startAndSync()
	finalized := b.deploy(spec("finalized"), 1, 1)
	old := b.deploy(spec("old"), 1, 1)
	kept := b.deploy(spec("kept"), 1, 1)
	for _, name := range []string{finalized, old, kept} {
		b.awaitPhase(name, workerapp.Running)
	}
	b.stop()
	b.patchAt(childRef{workerapp.Resource(), b.worker(), old}, `{"metadata": {"finalizers": null}}`)
	require.NoError(t, b.admin.Delete(b.ctx(), workerapp.Resource(), b.worker(), finalized, ""))
	require.NoError(t, b.admin.Delete(b.ctx(), workerapp.Resource(), b.worker(), old, ""))
	b.await("the one without finalizer is deleted at once", func() error {
		if _, err := b.app(old); !apierrors.IsNotFound(err) {
			return fmt.Errorf("%w", err)
		}
		return nil
	})
	_, err := b.app(finalized)
	require.NoError(t, err, "the finalizer keeps it")
	b.startAndSync()
	for _, name := range []string{finalized, old} {
		b.await("no child of "+name+" is left", func() error { return b.absent(name) })
	}
	for _, k := range b.children(kept) {
		_, err := b.admin.Get(b.ctx(), k.resource, k.namespace, k.name)
		require.NoError(t, err)
	}
}

func (b *bundle) createRoute(name, workers string) {
	b.t.Helper()
	u := &unstructured.Unstructured{Object: map[string]any{"spec": map[string]any{"routes": []any{
		map[string]any{"match": "Host(`a.worker.example.test`)", "kind": "Rule"}}}}}
	u.SetGroupVersionKind(routes().GroupVersion().WithKind("IngressRoute"))
	u.SetName(name)
	u.SetLabels(map[string]string{"app": name, "worker-id": "a", "owner-id": "b"})
	if workers != "" {
		u.SetAnnotations(map[string]string{"console.app238.com/worker-namespace": workers})
	}
	_, err := b.admin.Dynamic.Resource(routes()).Namespace(b.ingress()).Create(b.ctx(), u, metav1.CreateOptions{})
	require.NoError(b.t, err)
}

func TestObjectsOfOtherWorkerNamespaceAreKept(t *testing.T) {
	t.Parallel()
	b := setup(t)
	_, err := b.admin.Typed.CoreV1().Services(b.ingress()).Create(b.ctx(), &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: "w-a-b-ext", Labels: workerapp.Labels("a", "b")},
		Spec:       corev1.ServiceSpec{Type: corev1.ServiceTypeExternalName, ExternalName: "w-a-b.elsewhere.svc.cluster.local"},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
	b.createRoute("w-alone", "elsewhere")
	b.createRoute("w-old", "")
	b.startAndSync()
	b.waitForIdle()
	require.Empty(t, b.writes())
	require.Equal(t, "w-a-b.elsewhere.svc.cluster.local", b.external("w-a-b").Spec.ExternalName)
	for _, name := range []string{"w-alone", "w-old"} {
		require.Equal(t, name, b.route(name).GetName())
	}
}

func TestRouteWithoutServiceIsDeletedWithWorkerApp(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.startAndSync()
	name := b.deploy(spec("abc12345"), 1, 1)
	b.awaitPhase(name, workerapp.Running)
	b.stop()
	b.patchAt(childRef{workerapp.Resource(), b.worker(), name}, `{"metadata": {"finalizers": null}}`)
	require.NoError(t, b.admin.Delete(b.ctx(), workerapp.Resource(), b.worker(), name, ""))
	require.NoError(t, b.admin.Typed.CoreV1().Services(b.ingress()).Delete(b.ctx(), name+"-ext", metav1.DeleteOptions{}))
	b.startAndSync()
	b.await("no child is left", func() error { return b.absent(name) })
}

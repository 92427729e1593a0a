package platform_test

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/retry"

	"app238.com/inner/modules/controller/workerapp"
)

// manager is the name by which Inner owns fields.
const manager = "inner-gateway"

// testMove brings workers, while Inner is away, to what an earlier release made of them: a headless Service that the route
// leads to by the pods' own port, which has no name. Inner moves them, and no request is lost.
func testMove(t *testing.T, p *platform) {
	one, two := p.worker(t, "moved1", 1), p.worker(t, "moved2", 2)
	for _, k := range []worker{one, two} {
		p.awaitVersion(t, p.deploy(t, k, "1", 8080), "success")
	}
	p.scaleInner(t, 0)
	for _, k := range []worker{one, two} {
		p.applyEarlierLayout(t, k)
	}
	traffics := []*traffic{start(t, one.host()), start(t, two.host())}
	for _, f := range traffics {
		f.awaitWords(t, "one")
	}
	p.scaleInner(t, 2)
	for _, k := range []worker{one, two} {
		p.awaitMoved(t, k)
	}
	for _, f := range traffics {
		f.end(t, 0)
	}
}

// awaitMoved waits until a worker is reached by its Service with an address, and has no other.
func (p *platform) awaitMoved(t *testing.T, k worker) {
	t.Helper()
	require.True(t, waitFor(t.Context(), func(ctx context.Context) bool {
		external := p.external(ctx, t, k)
		_, err := p.Kubernetes.CoreV1().Services("worker").Get(ctx, k.name(), metav1.GetOptions{})
		return apierrors.IsNotFound(err) && len(external.Ports) == 1 && external.Ports[0].Port == 80 &&
			external.ExternalName == workerapp.ServiceName(k.name())+".worker.svc.cluster.local"
	}), "%s is not moved", k.id)
}

// external returns what the ingress reaches a worker by.
func (p *platform) external(ctx context.Context, t *testing.T, k worker) corev1.ServiceSpec {
	t.Helper()
	service, err := p.Kubernetes.CoreV1().Services("ingress").Get(ctx, workerapp.ExternalName(k.name()), metav1.GetOptions{})
	require.NoError(t, err)
	return service.Spec
}

// scaleInner has so many pods of Inner run.
func (p *platform) scaleInner(t *testing.T, replicas int) {
	t.Helper()
	_, err := p.Kubernetes.AppsV1().Deployments("console").Patch(t.Context(), "inner-gateway", types.MergePatchType,
		fmt.Appendf(nil, `{"spec":{"replicas":%d}}`, replicas), metav1.PatchOptions{FieldManager: "kubectl"})
	require.NoError(t, err)
	p.awaitInner(t)
	require.True(t, waitFor(t.Context(), func(ctx context.Context) bool {
		pods, err := p.Kubernetes.CoreV1().Pods("console").List(ctx, metav1.ListOptions{LabelSelector: "app=inner-gateway"})
		require.NoError(t, err)
		return len(pods.Items) == replicas
	}))
}

func (p *platform) applyEarlierLayout(t *testing.T, k worker) {
	t.Helper()
	n, ctx, by := k.name(), t.Context(), metav1.PatchOptions{FieldManager: manager}
	const earlier = `"metadata":{"annotations":{"console.app238.com/applied-hash":"earlier"}}`
	app, err := p.workerApps().Get(ctx, n, metav1.GetOptions{})
	require.NoError(t, err)
	core, apps := p.Kubernetes.CoreV1(), p.Kubernetes.AppsV1().Deployments("worker")
	deployment, err := apps.Get(ctx, n, metav1.GetOptions{})
	require.NoError(t, err)
	_, err = core.Services("worker").Create(ctx, &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: n, Labels: app.GetLabels(), OwnerReferences: deployment.OwnerReferences},
		Spec: corev1.ServiceSpec{ClusterIP: corev1.ClusterIPNone, Selector: map[string]string{"app": n},
			Ports: []corev1.ServicePort{{Name: "http", Port: 8080}}},
	}, metav1.CreateOptions{FieldManager: manager})
	require.NoError(t, err)
	_, err = core.Services("ingress").Patch(ctx, workerapp.ExternalName(n), types.MergePatchType, fmt.Appendf(nil,
		`{%s,"spec":{"externalName":"%s.worker.svc.cluster.local","ports":[{"name":"http","port":8080,"protocol":"TCP"}]}}`, earlier,
		n), by)
	require.NoError(t, err)
	route, err := p.routes().Get(ctx, n, metav1.GetOptions{})
	require.NoError(t, err)
	spec, err := json.Marshal(route.Object["spec"])
	require.NoError(t, err)
	var rules struct {
		Routes []map[string]any `json:"routes"`
	}
	require.NoError(t, json.Unmarshal(spec, &rules))
	rules.Routes[0]["services"] = []any{map[string]any{"name": workerapp.ExternalName(n), "port": 8080}}
	changed, err := json.Marshal(rules)
	require.NoError(t, err)
	_, err = p.routes().Patch(ctx, n, types.MergePatchType, fmt.Appendf(nil, `{%s,"spec":%s}`, earlier, changed), by)
	require.NoError(t, err)

	require.NoError(t, retry.RetryOnConflict(retry.DefaultBackoff, func() error { // with the writer of its status
		d, err := apps.Get(ctx, n, metav1.GetOptions{})
		if err != nil {
			return err
		}
		d.Annotations["console.app238.com/applied-hash"] = "earlier"
		d.Spec.Template.Annotations["console.app238.com/template-hash"] = "earlier"
		d.Spec.Template.Spec.Containers[0].Ports[0].Name = ""
		_, err = apps.Update(ctx, d, metav1.UpdateOptions{FieldManager: manager})
		return err
	}))
	require.True(t, waitFor(ctx, func(ctx context.Context) bool {
		d, err := apps.Get(ctx, n, metav1.GetOptions{})
		require.NoError(t, err)
		return d.Status.ObservedGeneration == d.Generation && d.Status.UpdatedReplicas == *d.Spec.Replicas &&
			d.Status.AvailableReplicas == *d.Spec.Replicas && d.Status.Replicas == *d.Spec.Replicas
	}))
	require.NoError(t, core.Services("worker").Delete(ctx, workerapp.ServiceName(n), metav1.DeleteOptions{}))
}

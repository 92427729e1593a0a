package controller_test

import (
	"errors"
	"fmt"
	"strings"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"app238.com/inner/modules/controller/workerapp"
)

func (b *bundle) configMap(name string) *corev1.ConfigMap {
	b.t.Helper()
	found, err := b.admin.Typed.CoreV1().ConfigMaps(b.worker()).Get(b.ctx(), name+"-env", metav1.GetOptions{})
	require.NoError(b.t, err)
	return found
}

func (b *bundle) secret(name string) *corev1.Secret {
	b.t.Helper()
	found, err := b.admin.Typed.CoreV1().Secrets(b.worker()).Get(b.ctx(), name+"-secret", metav1.GetOptions{})
	require.NoError(b.t, err)
	return found
}

func (b *bundle) deployment(name string) *appsv1.Deployment {
	b.t.Helper()
	found, err := b.admin.Typed.AppsV1().Deployments(b.worker()).Get(b.ctx(), name, metav1.GetOptions{})
	require.NoError(b.t, err)
	return found
}

func (b *bundle) service(name string) *corev1.Service {
	b.t.Helper()
	found, err := b.admin.Typed.CoreV1().Services(b.worker()).Get(b.ctx(), name+"-http", metav1.GetOptions{})
	require.NoError(b.t, err)
	return found
}

func (b *bundle) external(name string) *corev1.Service {
	b.t.Helper()
	found, err := b.admin.Typed.CoreV1().Services(b.ingress()).Get(b.ctx(), name+"-ext", metav1.GetOptions{})
	require.NoError(b.t, err)
	return found
}

func routes() schema.GroupVersionResource {
	return schema.GroupVersionResource{Group: "traefik.io", Version: "v1alpha1", Resource: "ingressroutes"}
}

func (b *bundle) route(name string) *unstructured.Unstructured {
	b.t.Helper()
	found, err := b.admin.Get(b.ctx(), routes(), b.ingress(), name)
	require.NoError(b.t, err)
	return found
}

// pods returns the worker's pods that are not terminating.
func (b *bundle) pods(name string) []corev1.Pod {
	b.t.Helper()
	list, err := b.admin.Typed.CoreV1().Pods(b.worker()).List(b.ctx(), metav1.ListOptions{LabelSelector: "app=" + name})
	require.NoError(b.t, err)
	var stay []corev1.Pod
	for _, pod := range list.Items {
		if pod.DeletionTimestamp == nil {
			stay = append(stay, pod)
		}
	}
	return stay
}

// templates returns how many pod templates the worker's Deployment has had.
func (b *bundle) templates(name string) int {
	b.t.Helper()
	list, err := b.admin.Typed.AppsV1().ReplicaSets(b.worker()).List(b.ctx(), metav1.ListOptions{LabelSelector: "app=" + name})
	require.NoError(b.t, err)
	return len(list.Items)
}

// configMaps returns those that belong to workers.
func (b *bundle) configMaps() []corev1.ConfigMap {
	b.t.Helper()
	list, err := b.admin.Typed.CoreV1().ConfigMaps(b.worker()).List(b.ctx(), metav1.ListOptions{LabelSelector: "worker-id"})
	require.NoError(b.t, err)
	return list.Items
}

// childRef identifies a child.
type childRef struct {
	resource  schema.GroupVersionResource
	namespace string
	name      string
}

// children returns every child of the WorkerApp.
func (b *bundle) children(name string) []childRef {
	core := func(resource string) schema.GroupVersionResource {
		return corev1.SchemeGroupVersion.WithResource(resource)
	}
	return []childRef{
		{core("configmaps"), b.worker(), name + "-env"},
		{core("secrets"), b.worker(), name + "-secret"},
		{core("services"), b.worker(), name + "-http"},
		{appsv1.SchemeGroupVersion.WithResource("deployments"), b.worker(), name},
		{core("services"), b.ingress(), name + "-ext"},
		{routes(), b.ingress(), name},
		{networkingv1.SchemeGroupVersion.WithResource("networkpolicies"), b.worker(), name},
	}
}

// patch changes an object in the worker namespace as another field manager.
func (b *bundle) patch(resource, name, patch string) {
	b.t.Helper()
	gvr := corev1.SchemeGroupVersion.WithResource(resource)
	if resource == "deployments" {
		gvr = appsv1.SchemeGroupVersion.WithResource(resource)
	}
	b.patchAt(childRef{gvr, b.worker(), name}, patch)
}

func (b *bundle) patchAt(k childRef, patch string) {
	b.t.Helper()
	_, err := b.admin.Dynamic.Resource(k.resource).Namespace(k.namespace).Patch(b.ctx(), k.name, types.MergePatchType,
		[]byte(patch), metav1.PatchOptions{FieldManager: "somebody"})
	require.NoError(b.t, err)
}

// content returns the desired fields of an object as JSON, without its status and the API server's metadata.
func (b *bundle) content(k childRef) string {
	b.t.Helper()
	u, err := b.admin.Get(b.ctx(), k.resource, k.namespace, k.name)
	if apierrors.IsNotFound(err) {
		return "not found"
	}
	require.NoError(b.t, err)
	delete(u.Object, "status")
	for _, field := range []string{"managedFields", "resourceVersion", "generation", "creationTimestamp", "uid"} {
		unstructured.RemoveNestedField(u.Object, "metadata", field)
	}
	unstructured.RemoveNestedField(u.Object, "metadata", "annotations", "deployment.kubernetes.io/revision")
	encoded, err := u.MarshalJSON()
	require.NoError(b.t, err)
	return string(encoded)
}

// unmanagedDeployment creates a Deployment that Inner does not own, with another immutable selector.
func (b *bundle) unmanagedDeployment(name string) *appsv1.Deployment {
	b.t.Helper()
	pods := map[string]string{"program": name}
	d := &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: workerapp.Labels("abc12345", "u1")},
		Spec: appsv1.DeploymentSpec{Selector: &metav1.LabelSelector{MatchLabels: pods}, Template: corev1.PodTemplateSpec{
			ObjectMeta: metav1.ObjectMeta{Labels: pods},
			Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: name, Image: healthyImage}}},
		}},
	}
	made, err := b.admin.Typed.AppsV1().Deployments(b.worker()).Create(b.ctx(), d, metav1.CreateOptions{})
	require.NoError(b.t, err)
	return made
}

// absent returns nil if no child of the WorkerApp is left.
func (b *bundle) absent(name string) error {
	for _, k := range b.children(name) {
		_, err := b.admin.Get(b.ctx(), k.resource, k.namespace, k.name)
		if err == nil {
			return fmt.Errorf("%s %s is still there", k.resource.Resource, k.name)
		}
		if !apierrors.IsNotFound(err) {
			return err
		}
	}
	return nil
}

// waitForIdle waits until the controller has reconciled every earlier change: it creates invalid WorkerApps, which cost a status
// only, and waits for them and for an empty work queue.
func (b *bundle) waitForIdle() {
	b.t.Helper()
	for range 3 {
		b.idleRounds++
		s := spec(fmt.Sprintf("idle%d", b.idleRounds))
		s.MainRegion = "no region!"
		b.awaitPhase(b.deploy(s, 0, 0), workerapp.Failed)
	}
	idle := 0
	b.await("no name waits and no reconcile runs", func() error {
		if b.logs.FilterMessage("resync queued").Len() == 0 || b.gauge("workqueue_depth") != 0 || b.gauge("active_workers") != 0 {
			idle = 0
			return errors.New("not yet")
		}
		// The events of a reconcile's writes trigger the next one.
		if idle++; idle < 5 {
			return errors.New("an event may follow")
		}
		return nil
	})
}

// gauge returns the value of one of the controller's gauges.
func (b *bundle) gauge(name string) float64 {
	families, err := b.registry.Gather()
	require.NoError(b.t, err)
	for _, family := range families {
		if family.GetName() == "inner_controller_"+name {
			return family.GetMetric()[0].GetGauge().GetValue()
		}
	}
	require.Fail(b.t, "no such gauge", name)
	return 0
}

// writesForNew is the number of writes for a new worker: its seven objects and its Running status.
const writesForNew = 8

// writes returns the controller's writes without those for waitForIdle.
func (b *bundle) writes() []string {
	var writes []string
	for _, write := range b.proxy.writes() {
		if !strings.Contains(write, "idle") {
			writes = append(writes, write)
		}
	}
	return writes
}

package controller_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"app238.com/inner/modules/controller/internal/children"
	"app238.com/inner/modules/controller/workerapp"
)

// makeLegacy changes a running worker, without a running controller, to the objects of an earlier release: a headless Service
// that the route reaches by the pods' own port, which has no name.
func (b *bundle) makeLegacy(name string) {
	b.t.Helper()
	byInner := metav1.UpdateOptions{FieldManager: "inner-gateway"}
	services := b.admin.Typed.CoreV1().Services(b.worker())
	require.NoError(b.t, services.Delete(b.ctx(), name+"-http", metav1.DeleteOptions{}))
	app, err := b.admin.Get(b.ctx(), workerapp.Resource(), b.worker(), name)
	require.NoError(b.t, err)
	_, err = services.Create(b.ctx(), &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: app.GetLabels(), OwnerReferences: b.deployment(name).OwnerReferences},
		Spec: corev1.ServiceSpec{ClusterIP: corev1.ClusterIPNone, Selector: map[string]string{"app": name},
			Ports: []corev1.ServicePort{{Name: "http", Port: 8080}}},
	}, metav1.CreateOptions{})
	require.NoError(b.t, err)

	external := b.external(name)
	external.Annotations[children.AppliedAnnotation] = "earlier"
	external.Spec.ExternalName = name + "." + b.worker() + ".svc.cluster.local"
	external.Spec.Ports = []corev1.ServicePort{{Name: "http", Port: 8080}}
	_, err = b.admin.Typed.CoreV1().Services(b.ingress()).Update(b.ctx(), external, byInner)
	require.NoError(b.t, err)

	route := b.route(name)
	rules, _, err := unstructured.NestedSlice(route.Object, "spec", "routes")
	require.NoError(b.t, err)
	rule, ok := rules[0].(map[string]any)
	require.True(b.t, ok)
	rule["services"] = []any{map[string]any{"name": name + "-ext", "port": int64(8080)}}
	require.NoError(b.t, unstructured.SetNestedSlice(route.Object, rules, "spec", "routes"))
	require.NoError(b.t, unstructured.SetNestedField(route.Object, "earlier", "metadata", "annotations", children.AppliedAnnotation))
	_, err = b.admin.Dynamic.Resource(routes()).Namespace(b.ingress()).Update(b.ctx(), route, byInner)
	require.NoError(b.t, err)

	deployment := b.deployment(name)
	deployment.Annotations[children.AppliedAnnotation] = "earlier"
	deployment.Spec.Template.Annotations[children.TemplateAnnotation] = "earlier"
	delete(deployment.Spec.Template.Annotations, workerapp.VersionAnnotation)
	deployment.Spec.Template.Spec.Containers[0].Ports[0].Name = ""
	_, err = b.admin.Typed.AppsV1().Deployments(b.worker()).Update(b.ctx(), deployment, byInner)
	require.NoError(b.t, err)
	b.await("the pods are of the earlier release", func() error {
		pods := b.pods(name)
		for _, pod := range pods {
			if pod.Annotations[children.TemplateAnnotation] != "earlier" || !isReady(&pod) {
				return errors.New("not yet")
			}
		}
		if len(pods) != int(*deployment.Spec.Replicas) {
			return fmt.Errorf("%d pods", len(pods))
		}
		return nil
	})
}

// path holds the objects on the way of a request, read in the request's order.
type path struct {
	route            int32
	external, inside string // the ports of N-ext, and of the Service that it points to
	target           string
	pods             int // Ready ones of the target
}

// observePath returns the current path of requests, or an error if an object of it is missing.
func (b *bundle) observePath(name string) (path, error) {
	route, err := b.admin.Get(b.ctx(), routes(), b.ingress(), name)
	if err != nil {
		return path{}, err
	}
	external, err := b.admin.Typed.CoreV1().Services(b.ingress()).Get(b.ctx(), name+"-ext", metav1.GetOptions{})
	if err != nil {
		return path{}, err
	}
	p := path{route: children.RoutePort(route), external: portsOf(external)}
	p.target = name
	if !children.PointsToLegacy(external, b.worker()) {
		p.target += "-http"
	}
	inside, err := b.admin.Typed.CoreV1().Services(b.worker()).Get(b.ctx(), p.target, metav1.GetOptions{})
	if err != nil {
		return p, err
	}
	p.inside = portsOf(inside)
	slices, err := b.admin.Typed.DiscoveryV1().EndpointSlices(b.worker()).List(b.ctx(),
		metav1.ListOptions{LabelSelector: discoveryv1.LabelServiceName + "=" + p.target})
	if err != nil {
		return p, err
	}
	for _, slice := range slices.Items {
		for _, endpoint := range slice.Endpoints {
			if endpoint.Conditions.Ready != nil && *endpoint.Conditions.Ready {
				p.pods++
			}
		}
	}
	return p, nil
}

func portsOf(service *corev1.Service) string {
	ports := " "
	for _, port := range service.Spec.Ports {
		ports += fmt.Sprintf("%d ", port.Port)
	}
	return ports
}

// observePaths records every path of requests until the returned function is called.
func (b *bundle) observePaths(name string) (stop func() ([]path, error)) {
	b.t.Helper()
	ctx, cancel := context.WithCancel(b.ctx())
	var running sync.WaitGroup
	var paths []path
	var failure error
	running.Go(func() {
		for ctx.Err() == nil && failure == nil {
			var p path
			if p, failure = b.observePath(name); failure == nil && (len(paths) == 0 || paths[len(paths)-1] != p) {
				paths = append(paths, p)
			}
			select {
			case <-ctx.Done():
			case <-time.After(5 * time.Millisecond):
			}
		}
	})
	end := sync.OnceFunc(func() {
		cancel()
		running.Wait()
	})
	b.t.Cleanup(end)
	return func() ([]path, error) {
		end()
		return paths, failure
	}
}

func TestLegacyWorkerIsMigratedWhileServing(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.startAndSync()
	s := spec("abc12345")
	s.MaxReplicas = 2
	name := b.deploy(s, 1, 1)
	b.awaitPhase(name, workerapp.Running)
	b.stop()
	b.makeLegacy(name)
	serving, stop := b.watchServing(name, 2), b.observePaths(name)
	b.startAndSync()
	b.await("the legacy Service is deleted", func() error {
		_, err := b.admin.Typed.CoreV1().Services(b.worker()).Get(b.ctx(), name, metav1.GetOptions{})
		if !apierrors.IsNotFound(err) {
			return fmt.Errorf("still there: %w", err)
		}
		return nil
	})
	b.awaitPhase(name, workerapp.Running)
	paths, err := stop()
	require.NoError(t, err, "%v", paths)
	for _, p := range paths {
		require.Contains(t, p.external, fmt.Sprint(" ", p.route, " "), "the route's port: %v", paths)
		require.Contains(t, p.inside, fmt.Sprint(" ", p.route, " "), "the target's port: %v", paths)
		require.Positive(t, p.pods, "%v", paths)
	}
	require.Equal(t, name, paths[0].target)
	last, err := b.observePath(name)
	require.NoError(t, err)
	require.Equal(t, path{80, " 80 ", " 80 ", name + "-http", 2}, last)
	require.Equal(t, 2, serving.fewestReady())
	require.Len(t, b.recorder.recorded(), 1, "a migration is no outcome")
}

func TestLegacyWorkersAreMigratedOneByOne(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.startAndSync()
	latest := spec("def67890")
	latest.Image = "registry.test/healthy" // its pods get an annotation, which must not skip the rate limit
	names := []string{b.deploy(spec("abc12345"), 1, 1), b.deploy(latest, 1, 1)}
	for _, name := range names {
		b.awaitPhase(name, workerapp.Running)
	}
	b.stop()
	for _, name := range names {
		b.makeLegacy(name)
	}
	b.config.Controller.RestartsPerSecond = 0.001
	b.startAndSync()
	earlier := func() (waiting []string) {
		for _, name := range names {
			if b.deployment(name).Spec.Template.Annotations[children.TemplateAnnotation] == "earlier" {
				waiting = append(waiting, name)
			}
		}
		return waiting
	}
	b.await("one of them is restarted", func() error {
		if n := len(earlier()); n != 1 {
			return fmt.Errorf("%d wait", n)
		}
		return nil
	})
	late := earlier()[0]
	b.await("the other one's new Service exists", func() error {
		_, err := b.admin.Typed.CoreV1().Services(b.worker()).Get(b.ctx(), late+"-http", metav1.GetOptions{})
		return err
	})
	require.Equal(t, late+"."+b.worker()+".svc.cluster.local", b.external(late).Spec.ExternalName)
	b.awaitMetric("inner_controller_unmigrated_workers", 1)

	// A deploy skips the rate limit.
	id := map[string]string{names[0]: "abc12345", names[1]: "def67890"}[late]
	s := spec(id)
	s.Image = "registry.test/slow/app:2"
	b.deploy(s, 2, 2)
	b.awaitPhase(late, workerapp.Running)
	b.awaitMetric("inner_controller_unmigrated_workers", 0)
}

func TestMigrationWaitsForReadyPods(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.startAndSync()
	name := b.deploy(spec("abc12345"), 1, 1)
	b.awaitPhase(name, workerapp.Running)
	b.stop()
	b.makeLegacy(name)
	s := spec("abc12345")
	s.Port, s.Image = 9090, "registry.test/fail/crash:2"
	b.deploy(s, 2, 2)
	b.startAndSync()
	b.awaitPhase(name, workerapp.Failed)
	p, err := b.observePath(name)
	require.NoError(t, err)
	require.Equal(t, name, p.target, "%v", p)
}

// awaitMetric waits until a metric without labels has a value.
func (b *bundle) awaitMetric(name string, want float64) {
	b.t.Helper()
	b.await(name, func() error {
		families, err := b.registry.Gather()
		if err != nil {
			return err
		}
		for _, family := range families {
			if family.GetName() == name {
				if is := family.GetMetric()[0].GetGauge().GetValue(); is != want {
					return fmt.Errorf("%v", is)
				}
				return nil
			}
		}
		return errors.New("no such metric")
	})
}

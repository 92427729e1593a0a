// Package deploy_test builds the manifests of configs/deploy and applies them to a real control plane.
package deploy_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/restmapper"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/api/resource"
	"sigs.k8s.io/kustomize/kyaml/filesys"

	"app238.com/inner/app/config"
	"app238.com/inner/app/kube"
	"app238.com/inner/modules/controller/workerapp"
)

const folder = "../../configs/deploy"

// objects returns the objects of a folder of configs/deploy in the order in which they can be applied.
func objects(t *testing.T, path string) []*unstructured.Unstructured {
	t.Helper()
	options := krusty.MakeDefaultOptions()
	options.Reorder = krusty.ReorderOptionLegacy
	built, err := krusty.MakeKustomizer(options).Run(filesys.MakeFsOnDisk(), path)
	require.NoError(t, err)
	var all []*unstructured.Unstructured
	for _, r := range built.Resources() {
		all = append(all, object(t, r))
	}
	require.NotEmpty(t, all)
	return all
}

func object(t *testing.T, r *resource.Resource) *unstructured.Unstructured {
	t.Helper()
	content, err := r.MarshalJSON()
	require.NoError(t, err)
	var u unstructured.Unstructured
	require.NoError(t, u.UnmarshalJSON(content))
	return &u
}

// cluster is the control plane that the tests run beside.
type cluster struct {
	clients *kube.Clients
	mapper  meta.RESTMapper
}

func setup(t *testing.T) *cluster {
	t.Helper()
	kubeconfig := os.Getenv("INNER_TEST_KUBECONFIG")
	require.NotEmpty(t, kubeconfig, "INNER_TEST_KUBECONFIG is not set: run the tests with make test")
	flags := pflag.NewFlagSet("test", pflag.ContinueOnError)
	config.AddFlags(flags)
	require.NoError(t, flags.Parse([]string{"-k", kubeconfig}))
	c, err := config.LoadForDatabase(flags)
	require.NoError(t, err)
	clients, err := kube.NewClients(c)
	require.NoError(t, err)
	groups, err := restmapper.GetAPIGroupResources(clients.Typed.Discovery())
	require.NoError(t, err)
	return &cluster{clients: clients, mapper: restmapper.NewDiscoveryRESTMapper(groups)}
}

// client returns the client of an object's kind, in its namespace.
func (c *cluster) client(u *unstructured.Unstructured) (dynamic.ResourceInterface, error) {
	mapping, err := c.mapper.RESTMapping(u.GroupVersionKind().GroupKind(), u.GroupVersionKind().Version)
	if err != nil {
		return nil, err
	}
	if mapping.Scope.Name() != meta.RESTScopeNameNamespace {
		return c.clients.Dynamic.Resource(mapping.Resource), nil
	}
	if u.GetNamespace() == "" {
		return nil, fmt.Errorf("%s %s names no namespace", u.GetKind(), u.GetName())
	}
	return c.clients.Dynamic.Resource(mapping.Resource).Namespace(u.GetNamespace()), nil
}

// get reads an object from the cluster.
func (c *cluster) get(ctx context.Context, u *unstructured.Unstructured) (*unstructured.Unstructured, error) {
	client, err := c.client(u)
	if err != nil {
		return nil, err
	}
	return client.Get(ctx, u.GetName(), metav1.GetOptions{})
}

// apply applies one object as `kubectl apply --server-side` does; the API server refuses fields that it does not know.
func (c *cluster) apply(ctx context.Context, u *unstructured.Unstructured, dryRun ...string) error {
	client, err := c.client(u)
	if err != nil {
		return err
	}
	data, err := u.MarshalJSON()
	if err != nil {
		return err
	}
	force := true
	_, err = client.Patch(ctx, u.GetName(), "application/apply-patch+yaml", data, metav1.PatchOptions{
		FieldManager: "deploy-test", Force: &force, DryRun: dryRun, FieldValidation: metav1.FieldValidationStrict,
	})
	return err
}

func TestAPIServerAcceptsEveryOverlay(t *testing.T) {
	t.Parallel()
	c := setup(t)
	overlays, err := filepath.Glob(folder + "/overlays/*")
	require.NoError(t, err)
	require.Len(t, overlays, 2)
	components, err := filepath.Glob(folder + "/components/*")
	require.NoError(t, err)
	require.NotEmpty(t, components)
	for _, component := range components {
		overlays = append(overlays, with(t, filepath.Base(component)))
	}
	for _, overlay := range append(overlays, with(t, "servicemonitor", "metrics-port"), folder+"/cluster") {
		for _, u := range objects(t, overlay) {
			require.NoError(t, c.apply(t.Context(), u, metav1.DryRunAll), "%s: %s %s", overlay, u.GetKind(), u.GetName())
		}
	}
	wrong := byName(t, overlays[0])["Deployment/inner-gateway"]
	require.NotNil(t, wrong)
	require.NoError(t, unstructured.SetNestedField(wrong.Object, "x", "spec", "nonsense"))
	require.ErrorContains(t, c.apply(t.Context(), wrong, metav1.DryRunAll), "nonsense", "the API server checks")
}

// with returns a folder with the production overlay and components that not every platform wants.
func with(t *testing.T, components ...string) string {
	t.Helper()
	root, err := filepath.Abs(folder)
	require.NoError(t, err)
	dir := t.TempDir()
	deploy, err := filepath.Rel(dir, root)
	require.NoError(t, err)
	content := fmt.Sprintf("resources: [%s/overlays/production]\ncomponents:\n", deploy)
	for _, component := range components {
		content += fmt.Sprintf("  - %s/components/%s\n", deploy, component)
	}
	require.NoError(t, os.WriteFile(filepath.Join(dir, "kustomization.yaml"), []byte(content), 0o600))
	return dir
}

func TestPodsGetRequiredSettingsOnly(t *testing.T) {
	t.Parallel()
	objects := byName(t, folder+"/overlays/production")
	pod := read[appsv1.Deployment](t, objects["Deployment/inner-gateway"]).Spec.Template.Spec
	c := defaults(t)
	stopping := c.HTTP.DrainTime + c.Tasks.ShutdownTimeout + c.HTTP.ShutdownTimeout
	require.Greater(t, time.Duration(*pod.TerminationGracePeriodSeconds)*time.Second, stopping,
		"it is killed while it ends its work")
	require.False(t, *pod.EnableServiceLinks)
	inner := pod.Containers[0]
	require.Equal(t, "/readyz", inner.ReadinessProbe.HTTPGet.Path)
	require.Equal(t, "/healthz", inner.LivenessProbe.HTTPGet.Path)
	require.Equal(t, int32(9901), inner.Ports[0].ContainerPort)
	settings := pod.Volumes[0].ConfigMap.Name
	require.Contains(t, objects, "ConfigMap/"+settings, "a change of the settings rolls the pods")
	require.NotEqual(t, "inner-gateway", settings)
	for _, container := range append(pod.InitContainers, pod.Containers...) {
		require.Equal(t, "registry.example.com/inner-gateway:latest", container.Image)
		require.Empty(t, config.UnknownVariables(variables(container)))
		for _, v := range container.Env {
			require.NotEqual(t, "INNER_DATABASE_DSN", v.Name, "secrets come from files")
		}
		memory := container.Resources.Limits.Memory()
		require.InDelta(t, 0.9*float64(memory.Value()), float64(goMemoryLimit(t, container)), 0.02*float64(memory.Value()))
	}
}

func variables(container corev1.Container) []string {
	var all []string
	for _, v := range container.Env {
		all = append(all, v.Name+"="+v.Value)
	}
	return all
}

// goMemoryLimit returns the bytes in GOMEMLIMIT.
func goMemoryLimit(t *testing.T, container corev1.Container) int64 {
	t.Helper()
	for _, v := range container.Env {
		if v.Name == "GOMEMLIMIT" {
			var mebibytes int64
			_, err := fmt.Sscanf(v.Value, "%dMiB", &mebibytes)
			require.NoError(t, err)
			return mebibytes << 20
		}
	}
	t.Fatal("GOMEMLIMIT is not set")
	return 0
}

// defaults returns the settings that a production overlay begins with.
func defaults(t *testing.T) *config.Config {
	t.Helper()
	flags := pflag.NewFlagSet("test", pflag.ContinueOnError)
	config.AddFlags(flags)
	require.NoError(t, flags.Parse([]string{"--config", folder + "/overlays/production/inner.yaml"}))
	c, err := config.Load(flags)
	require.NoError(t, err, "the settings of the overlay are good")
	return c
}

func TestWorkerPodWithoutPolicyHasNoEgress(t *testing.T) {
	t.Parallel()
	found := 0
	for _, u := range objects(t, folder+"/overlays/production") {
		if u.GetKind() != "NetworkPolicy" || u.GetNamespace() != "worker" {
			continue
		}
		found++
		var policy networkingv1.NetworkPolicy
		require.NoError(t, runtime.DefaultUnstructuredConverter.FromUnstructured(u.Object, &policy))
		selector, err := metav1.LabelSelectorAsSelector(&policy.Spec.PodSelector)
		require.NoError(t, err)
		require.True(t, selector.Matches(labels.Set(workerapp.Labels("w1", "u1"))))
		require.Len(t, policy.Spec.PolicyTypes, 2)
		require.Empty(t, policy.Spec.Ingress)
		require.Empty(t, policy.Spec.Egress)
	}
	require.Equal(t, 1, found)
}

func TestOnlyOuterAndCombinatorAreAdmitted(t *testing.T) {
	t.Parallel()
	var froms []string
	for _, u := range objects(t, folder+"/overlays/production") {
		if u.GetKind() != "NetworkPolicy" || u.GetNamespace() == "worker" {
			continue
		}
		selector, _, err := unstructured.NestedStringMap(u.Object, "spec", "podSelector", "matchLabels")
		require.NoError(t, err)
		require.Equal(t, map[string]string{"app": "inner-gateway"}, selector)
		rules, _, err := unstructured.NestedSlice(u.Object, "spec", "ingress")
		require.NoError(t, err)
		for _, rule := range rules {
			froms = append(froms, fmt.Sprint(rule))
		}
	}
	require.Len(t, froms, 2)
	require.Contains(t, strings.Join(froms, "\n"), "key:app operator:In values:[outer-gateway control-plane-outer]")
	require.Contains(t, strings.Join(froms, "\n"), "app:combinator")
}

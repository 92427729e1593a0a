package deploy_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/pflag"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"app238.com/inner/app/config"
)

// holdsUsersObjects tells whether users' objects are deleted with an object.
func holdsUsersObjects(u *unstructured.Unstructured) bool {
	return u.GetKind() == "Namespace" || u.GetKind() == "CustomResourceDefinition"
}

func TestDeletingAnOverlayKeepsUsersObjects(t *testing.T) {
	t.Parallel()
	for _, overlay := range []string{"development", "production"} {
		for _, u := range objects(t, folder+"/overlays/"+overlay) {
			require.False(t, holdsUsersObjects(u), "%s: %s %s", overlay, u.GetKind(), u.GetName())
		}
	}
	var kept int
	for _, u := range objects(t, folder+"/cluster") {
		require.True(t, holdsUsersObjects(u), "%s %s", u.GetKind(), u.GetName())
		require.Subset(t, u.GetAnnotations(), map[string]string{
			"argocd.argoproj.io/sync-options":   "Prune=false,Delete=false",
			"kustomize.toolkit.fluxcd.io/prune": "disabled",
			"helm.sh/resource-policy":           "keep",
		}, u.GetName())
		kept++
	}
	require.Equal(t, 5, kept)
}

func TestOnlyNamespacesOfInnersPodsEnforceSecurity(t *testing.T) {
	t.Parallel()
	const enforce = "pod-security.kubernetes.io/enforce"
	for name, u := range byName(t, folder+"/cluster") {
		switch _, enforced := u.GetLabels()[enforce]; name {
		case "Namespace/worker":
			require.True(t, enforced)
		default:
			require.False(t, enforced, "%s may have pods of others", name)
		}
	}
}

func TestEveryObjectHasRecommendedLabels(t *testing.T) {
	t.Parallel()
	recommended := map[string]string{
		"app.kubernetes.io/name": "inner-gateway", "app.kubernetes.io/instance": "inner-gateway",
		"app.kubernetes.io/component": "control-plane", "app.kubernetes.io/part-of": "inner-gateway",
	}
	for name, u := range byName(t, with(t, "servicemonitor", "token-access", "pod-access")) {
		if u.GetKind() == "ConfigMap" { // the operator's; by this label those of earlier settings are deleted
			require.Equal(t, "inner-gateway", u.GetLabels()["app.kubernetes.io/name"], name)
		} else {
			require.Subset(t, u.GetLabels(), recommended, name)
		}
		if u.GetKind() == "Deployment" {
			d := read[appsv1.Deployment](t, u)
			require.Subset(t, d.Spec.Template.Labels, recommended)
			require.Equal(t, map[string]string{"app": "inner-gateway"}, d.Spec.Selector.MatchLabels, "it cannot be changed")
		}
	}
}

func TestPodsHaveThePriorityOfTheManifests(t *testing.T) {
	t.Parallel()
	objects := byName(t, folder+"/overlays/production")
	class := read[appsv1.Deployment](t, objects["Deployment/inner-gateway"]).Spec.Template.Spec.PriorityClassName
	require.Contains(t, objects, "PriorityClass/"+class)
}

// TestEveryContainerLoadsSettingsWithClientCA has settings that require what the component tls puts in the environment.
func TestEveryContainerLoadsSettingsWithClientCA(t *testing.T) {
	file := filepath.Join(t.TempDir(), "inner.yaml")
	require.NoError(t, os.WriteFile(file, []byte("http: {tls: {clientCA: /etc/inner/tls/ca.crt}}\n"), 0o600))
	pod := read[appsv1.Deployment](t, byName(t, with(t, "tls"))["Deployment/inner-gateway"]).Spec.Template.Spec
	for _, container := range append(pod.InitContainers, pod.Containers...) {
		t.Run(container.Name, func(t *testing.T) {
			for _, v := range container.Env {
				if !strings.HasSuffix(v.Name, "_FILE") { // the files are in the cluster
					t.Setenv(v.Name, v.Value)
				}
			}
			flags := pflag.NewFlagSet("test", pflag.ContinueOnError)
			config.AddFlags(flags)
			require.NoError(t, flags.Parse([]string{"--config", file, "-d", "postgres://x/x"}))
			c, err := config.LoadForDatabase(flags)
			require.NoError(t, err)
			require.True(t, c.HTTP.TLS.Enabled())
		})
	}
}

// TestPodAccessFollowsAPatch builds an overlay as the component's comment describes it.
func TestPodAccessFollowsAPatch(t *testing.T) {
	t.Parallel()
	component, err := os.ReadFile(folder + "/components/pod-access/kustomization.yaml")
	require.NoError(t, err)
	comment := regexp.MustCompile(`(?m)^#   .*\n`).FindAllString(string(component), -1)
	require.NotEmpty(t, comment)
	overlay := with(t, "pod-access")
	file := filepath.Join(overlay, "kustomization.yaml")
	content, err := os.ReadFile(file)
	require.NoError(t, err)
	for _, line := range comment {
		content = append(content, strings.TrimPrefix(line, "#   ")...)
	}
	require.NoError(t, os.WriteFile(file, content, 0o600))
	moved := map[string]string{}
	for _, u := range objects(t, overlay) {
		if u.GetName() == "inner-gateway-pod-access" {
			moved[u.GetKind()] = u.GetNamespace()
		}
	}
	require.Equal(t, map[string]string{"Role": "other", "RoleBinding": "other"}, moved)
}

func TestMetricsPortIsSeparate(t *testing.T) {
	t.Parallel()
	objects := byName(t, with(t, "servicemonitor", "tls", "metrics-port"))
	inner := read[appsv1.Deployment](t, objects["Deployment/inner-gateway"]).Spec.Template.Spec.Containers[0]
	require.Contains(t, variables(inner), "INNER_HTTP_METRICSLISTEN=0.0.0.0:9903")
	require.Contains(t, inner.Ports, corev1.ContainerPort{Name: "metrics", ContainerPort: 9903})
	service := read[corev1.Service](t, objects["Service/inner-gateway"])
	ports := map[string]string{}
	for _, port := range service.Spec.Ports {
		ports[port.Name] = port.TargetPort.String()
	}
	require.Equal(t, map[string]string{"http": "http", "metrics": "metrics"}, ports)
	endpoints, _, err := unstructured.NestedSlice(objects["ServiceMonitor/inner-gateway"].Object, "spec", "endpoints")
	require.NoError(t, err)
	require.Len(t, endpoints, 1)
	endpoint, ok := endpoints[0].(map[string]any)
	require.True(t, ok)
	require.Equal(t, "metrics", endpoint["port"])
	policy := read[networkingv1.NetworkPolicy](t, objects["NetworkPolicy/inner-gateway-from-monitoring"])
	require.Equal(t, "metrics", policy.Spec.Ingress[0].Ports[0].Port.String())
}

var remoteBase = regexp.MustCompile(`(?m)^ *- (https://\S+)//(configs/deploy/\S+)\?ref=(\S+)$`)

// TestRemoteBaseBuildsAsPrinted has kustomize fetch the base from a repository, at a tag, by the line of the operator's guide.
// The address alone is another one.
func TestRemoteBaseBuildsAsPrinted(t *testing.T) {
	t.Parallel()
	guide, err := os.ReadFile("../../docs/operating.md")
	require.NoError(t, err)
	lines := remoteBase.FindAllStringSubmatch(string(guide), -1)
	require.NotEmpty(t, lines, "the guide prints no remote base")
	repository := t.TempDir()
	require.NoError(t, os.CopyFS(filepath.Join(repository, "configs"), os.DirFS("../../configs")))
	for _, arguments := range [][]string{{"init", "-q"}, {"add", "."}, {"commit", "-q", "-m", "a release"}, {"tag", lines[0][3]}} {
		cmd := exec.CommandContext(t.Context(), "git", append([]string{"-c", "user.name=test", "-c", "user.email=test@example.com"},
			arguments...)...)
		cmd.Dir = repository
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, string(out))
	}
	for _, line := range lines {
		overlay := t.TempDir()
		content := "resources:\n  - " + strings.Join([]string{"file://" + repository, line[2] + "?ref=" + line[3]}, "//") + "\n"
		require.NoError(t, os.WriteFile(filepath.Join(overlay, "kustomization.yaml"), []byte(content), 0o600))
		require.NotEmpty(t, objects(t, overlay), line[0])
	}
}

package deploy_test

import (
	"context"
	"maps"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"app238.com/inner/modules/controller/workerapp"
	"app238.com/inner/test/guide"
	"app238.com/inner/test/stack/build"
)

const timeout = 3 * time.Minute

// operator runs the blocks of the operator's guide, in a copy of the clone's configs.
func operator(t *testing.T) (run func(script string)) {
	t.Helper()
	kubectl, err := build.Kubectl(t.Context(), build.Options{Log: t.Output()})
	require.NoError(t, err)
	clone := t.TempDir()
	require.NoError(t, os.CopyFS(filepath.Join(clone, "configs"), os.DirFS("../../configs")))
	environment := []string{"KUBECONFIG=" + os.Getenv("INNER_TEST_KUBECONFIG"), "HOME=" + t.TempDir(),
		"PATH=" + filepath.Dir(kubectl) + ":" + os.Getenv("PATH")}
	return func(script string) {
		ctx, cancel := context.WithTimeout(t.Context(), timeout)
		defer cancel()
		output, err := guide.Run(ctx, clone, script, environment...)
		require.NoError(t, err)
		t.Log(output)
	}
}

// TestGuideInstallsAndUninstalls has the guide's commands install Inner, on simulated nodes. Its namespace enforces the security
// level of which the manifests only warn: that pods are available shows that they keep to it, and that they can be placed. Of the
// settings only those of earlier releases are deleted. What holds users' objects stays after the commands that uninstall Inner.
func TestGuideInstallsAndUninstalls(t *testing.T) {
	t.Parallel()
	c := setup(t)
	run := operator(t)
	scripts := guide.Of(t, "../../docs/operating.md")
	require.Len(t, scripts, 5, "secrets, overlay, start, earlier settings, removal")
	run(scripts[0])
	_, err := c.clients.Typed.CoreV1().Namespaces().Patch(t.Context(), "console", types.MergePatchType,
		[]byte(`{"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "restricted"}}}`), metav1.PatchOptions{})
	require.NoError(t, err)
	run(scripts[1])
	run(scripts[2])
	d, err := c.clients.Typed.AppsV1().Deployments("console").Get(t.Context(), "inner-gateway", metav1.GetOptions{})
	require.NoError(t, err)
	require.Equal(t, int32(2), d.Status.AvailableReplicas)

	earlier(t, c, run, scripts[3])
	run(scripts[4])
	for _, u := range objects(t, folder+"/overlays/production") {
		if u.GetKind() != "ConfigMap" { // its name is another one
			_, err := c.get(t.Context(), u)
			require.True(t, apierrors.IsNotFound(err), "%s %s is left: %v", u.GetKind(), u.GetName(), err)
		}
	}
	for _, u := range objects(t, folder+"/cluster") {
		kept, err := c.get(t.Context(), u)
		require.NoError(t, err, "%s %s", u.GetKind(), u.GetName())
		require.Nil(t, kept.GetDeletionTimestamp(), "%s %s", u.GetKind(), u.GetName())
	}
	_, err = c.clients.Dynamic.Resource(workerapp.Resource()).Namespace(corev1.NamespaceAll).
		List(t.Context(), metav1.ListOptions{Limit: 1})
	require.NoError(t, err)
}

// earlier has a script of the guide delete the settings of an earlier release, and neither those in use nor a dashboard.
func earlier(t *testing.T, c *cluster, run func(string), script string) {
	t.Helper()
	configMaps := c.clients.Typed.CoreV1().ConfigMaps("console")
	labels := map[string]string{"app.kubernetes.io/name": "inner-gateway"}
	for name, more := range map[string]map[string]string{
		"inner-gateway-0123456789": nil, "inner-gateway-dashboard": {"grafana_dashboard": "1"},
	} {
		all := maps.Clone(labels)
		maps.Copy(all, more)
		_, err := configMaps.Create(t.Context(), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: all}},
			metav1.CreateOptions{})
		require.NoError(t, err)
	}
	run(script)
	d, err := c.clients.Typed.AppsV1().Deployments("console").Get(t.Context(), "inner-gateway", metav1.GetOptions{})
	require.NoError(t, err)
	left, err := configMaps.List(t.Context(), metav1.ListOptions{LabelSelector: "app.kubernetes.io/name=inner-gateway"})
	require.NoError(t, err)
	var names []string
	for _, one := range left.Items {
		names = append(names, one.Name)
	}
	require.ElementsMatch(t, []string{"inner-gateway-dashboard", d.Spec.Template.Spec.Volumes[0].ConfigMap.Name}, names)
	require.NoError(t, configMaps.Delete(t.Context(), "inner-gateway-dashboard", metav1.DeleteOptions{}))
}

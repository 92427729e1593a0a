package controlplane

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"app238.com/inner/test/stack/process"
)

func testDeployment(t *testing.T, c *client) {
	const name = "healthy"
	deploy(t, c, name, "registry.example/app:1", 3)
	ctx := deadline(t)
	var object struct {
		Status struct {
			status
			AvailableReplicas int
		}
	}
	require.NoError(t, await(ctx, func() error {
		if err := c.get(ctx, "/apis/apps/v1/namespaces/"+testNamespace+"/deployments/"+name, &object); err != nil {
			return err
		}
		if object.Status.AvailableReplicas != 3 {
			return fmt.Errorf("%d replicas available", object.Status.AvailableReplicas)
		}
		return object.Status.is("Available")
	}))
	pods, err := podsOf(ctx, c, name)
	require.NoError(t, err)
	addresses := map[string]bool{}
	for _, p := range pods {
		require.Equal(t, "Running", p.Status.Phase)
		require.NotEmpty(t, p.Status.PodIP)
		addresses[p.Status.PodIP] = true
	}
	require.Len(t, addresses, 3, "each pod has an address of its own")
}

func testFailingImages(t *testing.T, c *client) {
	for name, test := range map[string]struct {
		check func(t *testing.T, c *client, name string)
		image string
	}{
		"crash":   {checkCrashes(1, "Error"), "/team/fail/crash"},
		"oom":     {checkCrashes(137, "OOMKilled"), "/team/fail/oom:2"},
		"pull":    {checkPull, "/fail/pull:1"},
		"slow":    {checkSlow, "/slow/app"},
		"unready": {checkUnready, "/fail/unready"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			deploy(t, c, name, "registry.example"+test.image, 1)
			test.check(t, c, name)
		})
	}
}

func checkCrashes(exitCode int, reason string) func(*testing.T, *client, string) {
	return func(t *testing.T, c *client, name string) {
		p := eventually(t, c, name, waits("CrashLoopBackOff"))
		require.Zero(t, p.container().RestartCount)
		ended := p.container().LastState.Terminated
		require.NotNil(t, ended)
		require.Equal(t, exitCode, ended.ExitCode)
		require.Equal(t, reason, ended.Reason)
		require.NotEmpty(t, ended.Message)

		p = eventually(t, c, name, func(p pod) bool { return p.container().RestartCount > 0 })
		require.False(t, p.container().Ready)
		require.Equal(t, exitCode, p.container().LastState.Terminated.ExitCode)

		p = eventually(t, c, name, func(p pod) bool { return p.container().State.Terminated != nil })
		require.Equal(t, exitCode, p.container().State.Terminated.ExitCode)
		require.Positive(t, p.container().RestartCount)
	}
}

func checkPull(t *testing.T, c *client, name string) {
	for _, reason := range []string{"ErrImagePull", "ImagePullBackOff"} {
		p := eventually(t, c, name, waits(reason))
		require.Equal(t, "Pending", p.Status.Phase)
		require.Contains(t, p.container().State.Waiting.Message, "registry.example/fail/pull:1")
		require.False(t, p.container().Ready)
	}
}

func checkSlow(t *testing.T, c *client, name string) {
	eventually(t, c, name, func(p pod) bool { return p.Status.Phase == "Running" && !p.container().Ready })
	eventually(t, c, name, func(p pod) bool { return p.container().Ready })
}

func checkUnready(t *testing.T, c *client, name string) {
	p := eventually(t, c, name, func(p pod) bool { return p.Status.Phase == "Running" })
	require.False(t, p.container().Ready)
	require.NotNil(t, p.container().State.Running)
	require.NotEmpty(t, p.Status.PodIP)
}

func testDefinitions(t *testing.T, c *client) {
	for _, path := range []string{
		"/apis/traefik.io/v1alpha1/ingressroutes",
		"/apis/cert-manager.io/v1/certificates",
		"/apis/cert-manager.io/v1/clusterissuers",
	} {
		require.NoError(t, c.get(deadline(t), path, nil))
	}
}

func testNamespaces(t *testing.T, c *client) {
	for _, name := range defaultNamespaces() {
		require.NoError(t, c.get(deadline(t), "/api/v1/namespaces/"+name, nil))
	}
}

func testNode(t *testing.T, c *client) {
	ctx := deadline(t)
	require.NoError(t, c.nodeReady(ctx))
	var node struct {
		Metadata struct{ Labels map[string]string }
		Spec     struct{ Taints []any }
		Status   struct{ Allocatable map[string]string }
	}
	require.NoError(t, c.get(ctx, nodePath, &node))
	require.Equal(t, defaultRegion, node.Metadata.Labels[regionLabel])
	require.Empty(t, node.Spec.Taints)
	for _, resource := range []string{"cpu", "ephemeral-storage", "memory", "pods"} {
		require.NotEmpty(t, node.Status.Allocatable[resource], resource)
	}
}

// testGarbageCollection shows that custom resources own objects from the cluster's first moment on.
func testGarbageCollection(t *testing.T, c *client) {
	ctx := deadline(t)
	owner := "/apis/traefik.io/v1alpha1/namespaces/" + testNamespace + "/middlewares/owner"
	require.NoError(t, c.applyObject(ctx, owner, map[string]any{
		"apiVersion": "traefik.io/v1alpha1",
		"kind":       "Middleware",
		"metadata":   map[string]any{"name": "owner"},
		"spec":       map[string]any{"stripPrefix": map[string]any{"prefixes": []string{"/"}}},
	}))
	var object struct{ Metadata struct{ UID string } }
	require.NoError(t, c.get(ctx, owner, &object))
	owned := "/api/v1/namespaces/" + testNamespace + "/configmaps/owned"
	require.NoError(t, c.applyObject(ctx, owned, map[string]any{
		"apiVersion": "v1",
		"kind":       "ConfigMap",
		"metadata": map[string]any{"name": "owned", "ownerReferences": []any{map[string]any{
			"apiVersion": "traefik.io/v1alpha1", "kind": "Middleware", "name": "owner", "uid": object.Metadata.UID,
		}}},
	}))
	_, err := c.do(ctx, http.MethodDelete, owner, "", nil)
	require.NoError(t, err)
	require.NoError(t, await(ctx, func() error {
		err := c.get(ctx, owned, nil)
		if err == nil {
			return errors.New("the owned object is still there")
		}
		if !strings.Contains(err.Error(), "404") {
			return err
		}
		return nil
	}))
}

// testRights shows that the API server asks who somebody is and what they may do.
func testRights(t *testing.T, c *client) {
	stranger := *c
	stranger.token = "nobody's"
	require.ErrorContains(t, stranger.get(deadline(t), nodePath, nil), "401")

	review, err := c.do(deadline(t), http.MethodPost, "/apis/authorization.k8s.io/v1/subjectaccessreviews",
		"application/json", []byte(`{"apiVersion":"authorization.k8s.io/v1","kind":"SubjectAccessReview","spec":{
			"user":"someone","resourceAttributes":{"verb":"list","resource":"secrets","namespace":"worker"}}}`))
	require.NoError(t, err)
	var answer struct{ Status struct{ Allowed bool } }
	require.NoError(t, json.Unmarshal(review, &answer))
	require.False(t, answer.Status.Allowed)
}

// TestOutage shows that a cluster of its own stands beside others, loses nothing in an outage and leaves nothing.
func TestOutage(t *testing.T) {
	t.Parallel()
	crd := filepath.Join(t.TempDir(), "crd.yaml")
	require.NoError(t, os.WriteFile(crd, []byte(widgets), 0o600))
	c := startCluster(t, Options{CRDs: []string{crd}, Namespaces: []string{testNamespace}, Region: "moon-1"})
	ctx := deadline(t)
	widget := "/apis/example.com/v1/namespaces/" + testNamespace + "/widgets/one"
	require.NoError(t, c.client.applyObject(ctx, widget, map[string]any{
		"apiVersion": "example.com/v1", "kind": "Widget", "metadata": map[string]any{"name": "one"},
	}))

	c.StopAPIServer()
	require.Error(t, c.client.get(ctx, widget, nil))
	require.NoError(t, c.StartAPIServer(ctx))
	require.NoError(t, c.client.get(ctx, widget, nil))
	require.NoError(t, c.StartAPIServer(ctx), "it runs already")
	t.Run("the others go on", func(t *testing.T) {
		deploy(t, c.client, "after", "registry.example/app:1", 1)
		eventually(t, c.client, "after", func(p pod) bool { return p.Status.Phase == "Running" })
	})

	for _, name := range []string{etcd, apiServer, controllerManager, scheduler, kwok} {
		require.FileExists(t, filepath.Join(c.Dir(), name+".log"))
	}
	running := append([]*process.Process{c.apiServer}, c.others...)
	require.Len(t, running, 5)
	require.NoError(t, c.Close())
	for _, program := range running {
		<-program.Done()
	}
	require.NoDirExists(t, c.Dir())
}

func TestStartReadsDefinitionsFirst(t *testing.T) {
	t.Parallel()
	_, err := Start(deadline(t), Options{CRDs: []string{"/no/such/file"}})
	require.ErrorIs(t, err, os.ErrNotExist)
}

const widgets = `# A small definition.
---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata:
  annotations:
    name: not this one
  name: "widgets.example.com"
spec:
  group: example.com
  names: {kind: Widget, plural: widgets}
  scope: Namespaced
  versions:
  - name: v1
    served: true
    storage: true
    schema: {openAPIV3Schema: {type: object}}
`

func TestReadDefinitions(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "crds.yaml")
	second := strings.ReplaceAll(widgets, "widgets.example.com", "gadgets.example.com")
	require.NoError(t, os.WriteFile(file, []byte(widgets+"--- # next\n"+second), 0o600))
	definitions, err := readDefinitions([]string{file})
	require.NoError(t, err)
	require.Len(t, definitions, 2)
	require.Equal(t, "widgets.example.com", definitions[0].name)
	require.Equal(t, "gadgets.example.com", definitions[1].name)

	require.NoError(t, os.WriteFile(file, []byte("kind: ConfigMap\nmetadata:\n  name: x\n"), 0o600))
	_, err = readDefinitions([]string{file})
	require.ErrorContains(t, err, file)
	_, err = readDefinitions([]string{file + ".missing"})
	require.ErrorIs(t, err, os.ErrNotExist)
}

package controlplane

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const (
	limit = time.Minute

	// envKubeconfig is set by withstack, whose cluster these tests then use.
	envKubeconfig = "INNER_TEST_KUBECONFIG"

	testNamespace = "worker"
)

// TestCluster holds the tests that one cluster serves: the surrounding withstack's, or one of their own.
func TestCluster(t *testing.T) {
	t.Parallel()
	c := clusterOf(t)
	for name, test := range map[string]func(*testing.T, *client){
		"Definitions":       testDefinitions,
		"Deployment":        testDeployment,
		"FailingImages":     testFailingImages,
		"GarbageCollection": testGarbageCollection,
		"Namespaces":        testNamespaces,
		"Node":              testNode,
		"Rights":            testRights,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, c)
		})
	}
}

func clusterOf(t *testing.T) *client {
	t.Helper()
	kubeconfig := os.Getenv(envKubeconfig)
	if kubeconfig == "" {
		kubeconfig = startCluster(t, Options{}).Kubeconfig()
	}
	data, err := os.ReadFile(kubeconfig)
	require.NoError(t, err)
	value := func(key string) string {
		found := regexp.MustCompile(key + `: (\S+)`).FindSubmatch(data)
		require.NotNil(t, found, "the kubeconfig has no %s", key)
		return string(found[1])
	}
	certificate, err := base64.StdEncoding.DecodeString(value("certificate-authority-data"))
	require.NoError(t, err)
	c, err := newClient(value("server"), &credentials{certificate: certificate, token: value("token")})
	require.NoError(t, err)
	t.Cleanup(c.close)
	return c
}

func startCluster(t *testing.T, opts Options) *ControlPlane {
	t.Helper()
	c, err := Start(deadline(t), opts)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, c.Close()) })
	return c
}

func deadline(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), limit) // t.Context would end before clean-ups
	t.Cleanup(cancel)
	return ctx
}

// pod has the fields that the tests read.
type pod struct {
	Metadata struct {
		DeletionTimestamp, Name string
	}
	Status struct {
		ContainerStatuses []containerStatus
		Phase, PodIP      string
		Conditions        []struct{ Message, Reason, Status, Type string }
	}
}

// container is the state of the pod's only container, empty as long as it has none.
func (p pod) container() containerStatus {
	if len(p.Status.ContainerStatuses) != 1 {
		return containerStatus{}
	}
	return p.Status.ContainerStatuses[0]
}

// waits is the condition that the container waits for that reason.
func waits(reason string) func(pod) bool {
	return func(p pod) bool {
		waiting := p.container().State.Waiting
		return waiting != nil && waiting.Reason == reason
	}
}

type containerStatus struct {
	LastState, State struct {
		Running    *struct{ StartedAt string }
		Terminated *struct {
			ExitCode        int
			Message, Reason string
		}
		Waiting *struct{ Message, Reason string }
	}
	Ready        bool
	RestartCount int
}

// deploy makes a Deployment as the product's would be, and removes it when the test ends.
func deploy(t *testing.T, c *client, name, image string, replicas int) {
	t.Helper()
	labels := map[string]string{"app": name}
	limits := map[string]string{"cpu": "1", "ephemeral-storage": "2Gi", "memory": "500Mi"}
	path := "/apis/apps/v1/namespaces/" + testNamespace + "/deployments/" + name
	require.NoError(t, c.applyObject(deadline(t), path, map[string]any{
		"apiVersion": "apps/v1",
		"kind":       "Deployment",
		"metadata":   map[string]any{"name": name},
		"spec": map[string]any{
			"replicas": replicas,
			"selector": map[string]any{"matchLabels": labels},
			"template": map[string]any{
				"metadata": map[string]any{"labels": labels},
				"spec": map[string]any{"containers": []any{map[string]any{
					"image":     image,
					"name":      name,
					"resources": map[string]any{"limits": limits, "requests": limits},
				}}},
			},
		},
	}))
	t.Cleanup(func() {
		ctx := deadline(t)
		_, err := c.do(ctx, "DELETE", path, "application/json", []byte(`{"propagationPolicy":"Background"}`))
		require.NoError(t, err)
		require.NoError(t, await(ctx, func() error { return count(ctx, c, name, 0) }), "the pods outlive the Deployment")
	})
}

func podsOf(ctx context.Context, c *client, app string) ([]pod, error) {
	var list struct{ Items []pod }
	err := c.get(ctx, "/api/v1/namespaces/"+testNamespace+"/pods?labelSelector=app%3D"+app, &list)
	return list.Items, err
}

func count(ctx context.Context, c *client, app string, want int) error {
	pods, err := podsOf(ctx, c, app)
	if err == nil && len(pods) != want {
		err = fmt.Errorf("%d pods instead of %d", len(pods), want)
	}
	return err
}

// eventually waits until the only pod of an app is as the condition wants it.
func eventually(t *testing.T, c *client, app string, condition func(pod) bool) pod {
	t.Helper()
	ctx := deadline(t)
	var last pod
	err := await(ctx, func() error {
		pods, err := podsOf(ctx, c, app)
		if err != nil {
			return err
		}
		if len(pods) != 1 {
			return fmt.Errorf("%d pods", len(pods))
		}
		if last = pods[0]; !condition(last) {
			shown, err := json.Marshal(last.Status)
			return fmt.Errorf("the pod is %s (%w)", shown, err)
		}
		return nil
	})
	require.NoError(t, err)
	return last
}

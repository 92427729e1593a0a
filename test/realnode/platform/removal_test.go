package platform_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/lib/pq"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"app238.com/inner/test/realnode/network"
)

// testRemoval deletes a worker and checks that nothing is left: in the cluster, on the node, and at the ingress.
func testRemoval(t *testing.T, p *platform) {
	k := p.worker(t, "removed", 2)
	p.awaitVersion(t, p.deploy(t, k, "1", 8080), "success")
	require.NotEmpty(t, p.left(t, k))
	require.Contains(t, routers(t), k.name())
	p.remove(t, k)
	require.True(t, waitFor(t.Context(), func(context.Context) bool { return !strings.Contains(routers(t), k.name()) }),
		"the ingress has a router")
	_, err := network.Visit(t.Context(), network.Visitor(asking, false), k.host(), "/")
	require.ErrorContains(t, err, "404")
}

// remove deletes workers as the Outer Gateway does, and waits until nothing of them is left.
func (p *platform) remove(t *testing.T, workers ...worker) {
	t.Helper()
	for _, k := range workers {
		_, err := p.db.ExecContext(t.Context(), `DELETE FROM workers WHERE wid = $1`, k.id)
		require.NoError(t, err)
		id, err := p.accept(t.Context(),
			fmt.Sprintf(`{"task_type":"worker.delete_worker_cr","task_info":{"worker_id":%q,"user_uid":"u1"}}`, k.id))
		require.NoError(t, err)
		p.awaitTask(t, id)
	}
	for _, k := range workers {
		var left []string
		require.True(t, waitFor(t.Context(), func(context.Context) bool {
			left = p.left(t, k)
			return len(left) == 0
		}), "%v", left)
	}
}

// clear removes all workers, so that the next test has the node for itself.
func (p *platform) clear(t *testing.T) {
	t.Helper()
	var ids []string
	require.NoError(t, p.db.QueryRowContext(t.Context(), `SELECT coalesce(array_agg(wid), '{}') FROM workers`).Scan(pq.Array(&ids)))
	var all []worker
	for _, id := range ids {
		all = append(all, worker{id: id})
	}
	p.remove(t, all...)
}

// left returns what there is of a worker.
func (p *platform) left(t *testing.T, k worker) (left []string) {
	t.Helper()
	ctx, of := t.Context(), metav1.ListOptions{LabelSelector: "app=" + k.name()}
	for _, namespace := range []string{"worker", "ingress"} {
		core := p.Kubernetes.CoreV1()
		pods, err := core.Pods(namespace).List(ctx, of)
		require.NoError(t, err)
		for _, o := range pods.Items {
			left = append(left, "pod "+o.Name)
		}
		services, err := core.Services(namespace).List(ctx, of)
		require.NoError(t, err)
		for _, o := range services.Items {
			left = append(left, "service "+o.Name)
		}
		maps, err := core.ConfigMaps(namespace).List(ctx, of)
		require.NoError(t, err)
		for _, o := range maps.Items {
			left = append(left, "configmap "+o.Name)
		}
		secrets, err := core.Secrets(namespace).List(ctx, of)
		require.NoError(t, err)
		for _, o := range secrets.Items {
			left = append(left, "secret "+o.Name)
		}
		deployments, err := p.Kubernetes.AppsV1().Deployments(namespace).List(ctx, of)
		require.NoError(t, err)
		for _, o := range deployments.Items {
			left = append(left, "deployment "+o.Name)
		}
		policies, err := p.Kubernetes.NetworkingV1().NetworkPolicies(namespace).List(ctx, of)
		require.NoError(t, err)
		for _, o := range policies.Items {
			left = append(left, "policy "+o.Name)
		}
	}
	return left
}

// routers is what Traefik says that it routes.
func routers(t *testing.T) string {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://127.0.0.1:8080/api/http/routers", nil)
	require.NoError(t, err)
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return string(text)
}

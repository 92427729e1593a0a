package platform_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/types"

	"app238.com/inner/test/realnode"
)

// testDrain empties one node after the other, as an operator does who renews them, while requests and tasks come: neither a
// worker of two pods nor Inner loses one. A worker of one pod is away until its new pod serves, and is active again after that.
func testDrain(t *testing.T, p *platform) {
	p.patchNode(t, realnode.Spare, `{"spec":{"taints":null}}`)
	t.Cleanup(func() {
		p.patchNode(t, realnode.Spare,
			fmt.Sprintf(`{"spec":{"taints":[{"key":%q,"effect":"NoSchedule"}],"unschedulable":null}}`, realnode.SpareTaint))
	})
	one, two := p.worker(t, "alone", 1), p.worker(t, "drained", 2)
	for _, k := range []worker{one, two} {
		p.awaitVersion(t, p.deploy(t, k, "1", 8080), "success")
		requireServed(t, k, "one")
	}
	nodes := map[string]bool{}
	for _, pod := range p.pods(t, two) {
		nodes[pod.Spec.NodeName] = true
	}
	require.Len(t, nodes, 2, "the pods of a worker are on one node")
	f, sent := start(t, two.host()), p.sendTasks(t)
	f.awaitWords(t, "one")
	for _, node := range []string{realnode.Name, realnode.Spare} {
		p.drain(t, node)
		requireServed(t, one, "one")
		require.True(t, waitFor(t.Context(), func(context.Context) bool {
			status, _ := p.status(t, one)
			return status == "active"
		}), "a worker whose pod was moved is not active")
		p.patchNode(t, node, `{"spec":{"unschedulable":null}}`)
		t.Logf("%s is drained", node)
	}
	f.end(t, 0)
	sent.end(t)
	for _, k := range []worker{one, two} {
		status, _ := p.status(t, k)
		require.Equal(t, "active", status)
	}
}

// drain has a node take no more pods, and evicts those that it has as far as their budgets let it, until it has none.
func (p *platform) drain(t *testing.T, node string) {
	t.Helper()
	p.patchNode(t, node, `{"spec":{"unschedulable":true}}`)
	onNode := metav1.ListOptions{FieldSelector: fields.OneTermEqualSelector("spec.nodeName", node).String()}
	require.True(t, waitFor(t.Context(), func(ctx context.Context) bool {
		pods, err := p.Kubernetes.CoreV1().Pods(corev1.NamespaceAll).List(ctx, onNode)
		require.NoError(t, err)
		for _, pod := range pods.Items {
			if pod.DeletionTimestamp == nil {
				err := p.Kubernetes.PolicyV1().Evictions(pod.Namespace).Evict(ctx,
					&policyv1.Eviction{ObjectMeta: metav1.ObjectMeta{Name: pod.Name, Namespace: pod.Namespace}})
				require.True(t, err == nil || apierrors.IsTooManyRequests(err) || apierrors.IsNotFound(err), "%v", err)
			}
		}
		return len(pods.Items) == 0
	}), "%s is not drained", node)
}

func (p *platform) patchNode(t *testing.T, node, patch string) {
	t.Helper()
	_, err := p.Kubernetes.CoreV1().Nodes().Patch(context.WithoutCancel(t.Context()), node, types.StrategicMergePatchType,
		[]byte(patch), metav1.PatchOptions{})
	require.NoError(t, err)
}

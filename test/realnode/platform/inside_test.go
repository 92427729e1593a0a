package platform_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"app238.com/inner/test/realnode/network"
)

// testInside checks from inside a worker's container.
func testInside(t *testing.T, p *platform) {
	k := p.worker(t, "inside", 1)
	_, err := p.db.ExecContext(t.Context(), `UPDATE workers SET secrets_json = '["TOKEN"]' WHERE wid = 'inside'`)
	require.NoError(t, err)
	p.awaitVersion(t, p.deploy(t, k, "1", 8080), "success")
	p.ask(t, "/api/acceptTask", map[string]any{"task_type": "worker.sync_secret",
		"task_info": map[string]any{"worker_id": k.id, "user_uid": "u1", "data": map[string]string{"TOKEN": "hidden"}}}, &struct{}{})
	var self struct{ Environment, Status, Files map[string]string }
	c := network.Visitor(asking, false)
	require.Eventually(t, func() bool {
		answer, err := network.Visit(t.Context(), c, k.host(), "/self")
		return err == nil && json.Unmarshal([]byte(answer), &self) == nil && self.Environment["TOKEN"] == "hidden"
	}, limit, tick, "the secret does not arrive")
	require.Equal(t, "blue", self.Environment["COLOUR"])
	require.Equal(t, "sk_real", self.Environment["RAYSAIL_SECRET_KEY"])
	require.Equal(t, "u1", self.Environment["RAYSAIL_UID"])
	require.Equal(t, "http://combinator.combinator.svc.cluster.local:8899", self.Environment["COMBINATOR_API_ENDPOINT"])
	for name := range self.Environment {
		if !strings.HasPrefix(name, "KUBERNETES_") { // the kubelet tells every container where the API server is
			require.NotRegexp(t, "_SERVICE_HOST$|_PORT_", name, "the cluster's Services are none of its business")
		}
	}
	require.Equal(t, "0000000000000000", self.Status["CapEff"])
	require.Equal(t, "0000000000000000", self.Status["CapBnd"])
	require.Equal(t, "1", self.Status["NoNewPrivs"])
	require.Equal(t, "2", self.Status["Seccomp"], "filtered")
	require.Equal(t, "65532\t65532\t65532\t65532", self.Status["Uid"])
	require.NotContains(t, self.Files, "/var/run/secrets/kubernetes.io/serviceaccount/token")
	memory := self.Files["/sys/fs/cgroup/memory/memory.limit_in_bytes"] + self.Files["/sys/fs/cgroup/memory.max"]
	require.Equal(t, "67108864", memory)

	// What is seen through the ingress.
	var request struct {
		Host    string
		Headers map[string][]string
	}
	answer, err := network.Visit(t.Context(), c, k.host(), "/request")
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal([]byte(answer), &request))
	require.Equal(t, k.host(), request.Host)
	require.Equal(t, []string{"https"}, request.Headers["X-Forwarded-Proto"])

	// The object that others may read holds no secret.
	object, err := p.workerApps().Get(t.Context(), k.name(), metav1.GetOptions{})
	require.NoError(t, err)
	content, err := object.MarshalJSON()
	require.NoError(t, err)
	require.NotContains(t, string(content), "hidden")
	require.NotContains(t, string(content), "sk_real")

	testEviction(t, p, k)
}

// testEviction has a worker's only pod evicted, as for a node that is drained.
func testEviction(t *testing.T, p *platform, k worker) {
	t.Helper()
	before := p.pods(t, k)
	require.Len(t, before, 1)
	require.NoError(t, p.Kubernetes.CoreV1().Pods("worker").EvictV1(t.Context(), &policyv1.Eviction{
		ObjectMeta: metav1.ObjectMeta{Name: before[0].Name, Namespace: "worker"},
	}))
	require.Eventually(t, func() bool {
		now := p.pods(t, k)
		if len(now) != 1 || now[0].UID == before[0].UID {
			return false
		}
		words, err := network.Visit(t.Context(), network.Visitor(asking, false), k.host(), "/")
		return err == nil && words == "one"
	}, limit, tick, "the worker does not come back")
}

package e2e_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"app238.com/inner/modules/controller/workerapp"
	"app238.com/inner/modules/workers/admin"
	"app238.com/inner/test/dnsserver"
	"app238.com/inner/test/pods"
	"app238.com/inner/test/program"
)

// What Inner does in a cluster, action by action, for rights_test.go.

// ownNamespaces gives the fixture a control and a Combinator namespace of its own too, in which rights can be given.
func (w *fixture) ownNamespaces(t *testing.T) {
	t.Helper()
	w.namespaces.Control = strings.Replace(w.namespaces.Worker, "worker", "console", 1)
	w.namespaces.Combinator = strings.Replace(w.namespaces.Worker, "worker", "combinator", 1)
	for _, name := range []string{w.namespaces.Control, w.namespaces.Combinator} {
		_, err := w.clients.Typed.CoreV1().Namespaces().Create(t.Context(),
			&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{})
		require.NoError(t, err)
	}
	w.reconfigure(t, "namespaces: {",
		fmt.Sprintf("namespaces: {control: %s, combinator: %s, ", w.namespaces.Control, w.namespaces.Combinator))
}

// tokenOfOuter has the route of deploys ask for a service account's token, and returns one that is let in.
func (w *fixture) tokenOfOuter(t *testing.T) string {
	t.Helper()
	w.reconfigure(t, "http: {", fmt.Sprintf("http: {access: {workers: {mode: token, audience: inner, subjects: [%q]}}, ",
		"system:serviceaccount:"+w.namespaces.Control+":outer"))
	return w.account(t, w.namespaces.Control, "outer", "inner")
}

// deployAs sends POST /api/worker/deploy with a token.
func (i *inner) deployAs(t *testing.T, token string, k worker, image string) (version int) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, i.url+"/api/worker/deploy",
		strings.NewReader(fmt.Sprintf(`{"user_uid":%q,"worker_id":%q,"image":%q,"port":8080}`, k.owner, k.id, image)))
	require.NoError(t, err)
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Authorization", "Bearer "+token)
	answer, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	defer func() { require.NoError(t, answer.Body.Close()) }()
	var receipt struct {
		VersionID int    `json:"version_id"`
		Error     string `json:"error"`
	}
	require.NoError(t, json.NewDecoder(answer.Body).Decode(&receipt))
	require.Equal(t, http.StatusOK, answer.StatusCode, receipt.Error)
	return receipt.VersionID
}

// actWorkers deploys, changes, fails and recovers a worker, with its environment and secrets.
func (w *fixture) actWorkers(t *testing.T, i *inner, token string) worker {
	t.Helper()
	k := w.worker(t, "u1", "w1", "registry.test/app:1", "max_replicas", "2")
	w.obstruct(t, k)
	i.accept(t, k.deployTask())
	w.awaitState(t, k, "active", "success")
	w.addByHand(t, "policy", "v1", "poddisruptionbudgets", w.namespaces.Worker, k.name(),
		`{"spec":{"selector":{"matchLabels":{"no":"pod"}}}}`)
	w.addByHand(t, "networking.k8s.io", "v1", "networkpolicies", w.namespaces.Worker, k.name(),
		`{"spec":{"podSelector":{"matchLabels":{"no":"pod"}}}}`)
	w.setColumn(t, k, "env_json", `{"A":"1"}`)
	i.awaitTask(t, w, i.change(t, w, k, "worker.sync_env", map[string]string{"A": "1"}), "finished")
	w.setColumn(t, k, "secrets_json", `["TOKEN"]`)
	i.awaitTask(t, w, i.change(t, w, k, "worker.sync_secret", map[string]string{"TOKEN": "x"}), "finished")
	failing := w.newVersion(t, k, "registry.test/fail/crash:2")
	i.accept(t, failing.deployTask())
	w.awaitState(t, failing, "active", "error")
	// With one replica it has no disruption budget any more.
	w.setColumn(t, k, "max_replicas", "1")
	k.version = i.deployAs(t, token, k, "registry.test/app:3")
	w.awaitState(t, k, "active", "success")
	return k
}

// obstruct creates objects with a worker's names that no apply can bring to the desired state: Services whose port has the
// name of another one, of which one has no address, and an immutable ConfigMap.
func (w *fixture) obstruct(t *testing.T, k worker) {
	t.Helper()
	labels := workerapp.Labels(k.id, k.owner)
	for _, service := range []struct{ namespace, name, address string }{
		{w.namespaces.Worker, workerapp.ServiceName(k.name()), corev1.ClusterIPNone},
		{w.namespaces.Ingress, workerapp.ExternalName(k.name()), ""},
	} {
		_, err := w.clients.Typed.CoreV1().Services(service.namespace).Create(t.Context(), &corev1.Service{
			ObjectMeta: metav1.ObjectMeta{Name: service.name, Labels: labels},
			Spec:       corev1.ServiceSpec{ClusterIP: service.address, Ports: []corev1.ServicePort{{Name: "http", Port: 81}}},
		}, metav1.CreateOptions{})
		require.NoError(t, err)
	}
	immutable := true
	_, err := w.clients.Typed.CoreV1().ConfigMaps(w.namespaces.Worker).Create(t.Context(), &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Name: workerapp.EnvName(k.name()), Labels: labels}, Immutable: &immutable,
	}, metav1.CreateOptions{})
	require.NoError(t, err)
}

// actStatus asks how the platform fares, and a worker of it, as the operator does inside a pod.
func (w *fixture) actStatus(t *testing.T, k worker) {
	t.Helper()
	shown, err := w.command(t, "workers", "show", k.id, "-o", "json").CombinedOutput()
	require.NoError(t, err, "%s", shown)
	var details admin.Details
	require.NoError(t, json.Unmarshal(shown, &details), "%s", shown)
	require.Empty(t, details.ClusterError)
	require.NotNil(t, details.App, "%s", shown)
	require.NotEmpty(t, details.Events, "%s", shown)
	require.NotEmpty(t, details.Route.Hosts, "%s", shown)
	out, err := w.command(t, "status").CombinedOutput()
	require.Contains(t, string(out), "WorkerApps", "%s %v", out, err)
	require.NotContains(t, string(out), "forbidden")
}

// actAudit makes audits find and delete objects without a row.
func (w *fixture) actAudit(t *testing.T, i *inner) {
	t.Helper()
	orphan := w.worker(t, "u1", "orphan", "registry.test/app:1")
	i.accept(t, orphan.deployTask())
	w.awaitState(t, orphan, "active", "success")
	_, err := w.db.ExecContext(t.Context(), `DELETE FROM workers WHERE id = $1`, orphan.row)
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		w.audit(t, i)
		_, err := w.clients.Get(t.Context(), workerapp.Resource(), w.namespaces.Worker, orphan.name())
		return apierrors.IsNotFound(err)
	}, timeout, time.Second, "the orphan is not deleted")
}

// orphan deletes the WorkerApp of a worker and leaves its objects, as kubectl delete --cascade=orphan does.
func (w *fixture) orphan(t *testing.T, k worker) {
	t.Helper()
	policy := metav1.DeletePropagationOrphan
	apps := w.clients.Dynamic.Resource(workerapp.Resource()).Namespace(w.namespaces.Worker)
	require.NoError(t, apps.Delete(t.Context(), k.name(), metav1.DeleteOptions{PropagationPolicy: &policy}))
	require.Eventually(t, func() bool {
		_, err := apps.Get(t.Context(), k.name(), metav1.GetOptions{})
		return apierrors.IsNotFound(err)
	}, timeout, 50*time.Millisecond, "the WorkerApp stays")
	require.True(t, w.running(t, k))
}

// actDelete deletes the worker, whose objects have lost their owner.
func (w *fixture) actDelete(t *testing.T, i *inner, k worker) {
	t.Helper()
	_, err := w.db.ExecContext(t.Context(), `DELETE FROM workers WHERE id = $1`, k.row)
	require.NoError(t, err)
	w.orphan(t, k)
	i.awaitTask(t, w, i.accept(t, `{"task_type":"worker.delete_worker_cr","task_info":{"worker_id":"w1","user_uid":"u1"}}`),
		"finished")
	w.awaitNoObjects(t)
}

// names starts a name server that Inner asks, and in which a user has put the record of a custom domain.
func (w *fixture) names(t *testing.T, domain, value string) {
	t.Helper()
	names, err := dnsserver.New()
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, names.Close()) })
	require.NoError(t, names.Root.Add(fmt.Sprintf("_combinator-verify.%s. 60 IN TXT %q", domain, value)))
	w.configure(t,
		fmt.Sprintf("domains: {requireTarget: false, scanInterval: 200ms, resyncInterval: 500ms, dns: {resolvers: [%q], "+
			"timeout: 1s}}\n",
			netip.AddrPortFrom(names.Root.Addr, uint16(names.Port)).String()))
}

const (
	customDomain = "shop.example.org"
	customValue  = "combinator-verify=0123456789abcdef0123456789abcdef"
)

// addCustomDomain inserts the row of the custom domain.
func (w *fixture) addCustomDomain(t *testing.T) {
	t.Helper()
	_, err := w.db.ExecContext(t.Context(), `INSERT INTO custom_domains (cdid, user_uid, domain, target, txt_name, txt_value, status)
		VALUES ('0a1b2c3d', 'u1', $1, 'w1.worker.e2e.test', $2, $3, 'pending')`, customDomain, "_combinator-verify."+customDomain, customValue)
	require.NoError(t, err)
}

// actDomain has a custom domain verified, served, and removed with its row.
func (w *fixture) actDomain(t *testing.T) {
	t.Helper()
	w.addCustomDomain(t)
	exists := func(group, version, resource string) bool {
		_, err := w.clients.Get(t.Context(), schema.GroupVersionResource{Group: group, Version: version, Resource: resource},
			w.namespaces.Ingress, "custom-domain-0a1b2c3d")
		return err == nil
	}
	require.Eventually(t, func() bool {
		return exists("", "v1", "services") && exists("cert-manager.io", "v1", "certificates") &&
			exists("traefik.io", "v1alpha1", "ingressroutes")
	}, timeout, 100*time.Millisecond, "the domain is not served")
	shown, err := w.command(t, "domains", "show", customDomain).CombinedOutput()
	require.NoError(t, err, "%s", shown)
	require.NotContains(t, string(shown), "could not be read")
	w.addByHand(t, "cert-manager.io", "v1", "certificates", w.namespaces.Ingress, "custom-domain-0a1b2c3d",
		`{"spec":{"ipAddresses":["192.0.2.1"]}}`)
	_, err = w.db.ExecContext(t.Context(), `DELETE FROM custom_domains`)
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		return w.count(t, `SELECT count(*) FROM inner_domain_checks`) == 0 && !exists("", "v1", "services")
	}, timeout, 100*time.Millisecond, "the domain is not removed")
}

// pods starts the server that receives the notices to Combinator pods, and returns the notices.
func (w *fixture) pods(t *testing.T) (notices <-chan string) {
	t.Helper()
	received := make(chan string, 100)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		received <- string(body)
	}))
	t.Cleanup(server.Close)
	_, port, err := net.SplitHostPort(server.Listener.Addr().String())
	require.NoError(t, err)
	w.reconfigure(t, "combinator:\n", "combinator:\n  pods: {webhookPort: "+port+"}\n")
	return received
}

// actCombinator has a Combinator pod, which has this machine's address, ask for a user's key and get notices of deletions.
func (w *fixture) actCombinator(t *testing.T, i *inner, notices <-chan string) {
	t.Helper()
	pods.NewCombinator(t, w.clients.Typed, w.namespaces.Combinator, "combinator", "127.0.0.1")
	require.Eventually(t, func() bool {
		status, _ := i.get(t, "/api/combinator/retrieveSecretByID?user_id=u1")
		return status == http.StatusOK
	}, timeout, 100*time.Millisecond, "the pod is not let in")

	i.awaitTask(t, w, i.accept(t, `{"task_type":"auth.register_user","task_info":{"user_uid":"u1"}}`), "finished")
	w.created(t, i, "rdb", "r1")
	w.created(t, i, "kv", "k1")
	_, err := w.db.ExecContext(t.Context(), `DELETE FROM combinator_resources`)
	require.NoError(t, err)
	for kind, id := range map[string]string{"rdb": "r1", "kv": "k1"} {
		i.accept(t, fmt.Sprintf(`{"task_type":"combinator.delete_%s","task_info":{"user_uid":"u1","resource_id":%q}}`, kind, id))
		select {
		case <-notices:
		case <-time.After(timeout):
			t.Fatal("the pod is not notified")
		}
	}
}

// awaitEveryJobType has what would run by itself later run now, and waits until a task of every job type has finished.
func (w *fixture) awaitEveryJobType(t *testing.T, i *inner) {
	t.Helper()
	for _, later := range []string{"domain.check", "auth.user_audit", "combinator.measure_rdb", "combinator.sweep_kv",
		"combinator.sync_passwords"} {
		i.awaitTask(t, w, i.accept(t, fmt.Sprintf(`{"task_type":%q,"task_info":{}}`, later)), "finished")
	}
	// The audit asks for this one where a role is left of a user who is gone.
	i.awaitTask(t, w, i.accept(t, `{"task_type":"combinator.remove_tenant","task_info":{"user_uid":"gone"}}`), "finished")
	types, err := exec.CommandContext(t.Context(), program.Path(), "__completeNoDesc", "run-job", "").Output()
	require.NoError(t, err)
	require.Contains(t, string(types), "worker.deploy_worker")
	for one := range strings.Lines(string(types)) {
		one = strings.TrimSpace(one)
		if !strings.Contains(one, ".") {
			continue // an alias
		}
		require.Eventually(t, func() bool {
			return w.count(t, `SELECT count(*) FROM console_tasks WHERE task_status = 'finished' AND task_type = '`+one+`'`) > 0
		}, timeout, 100*time.Millisecond, "no task of type %s has finished: add an action for it", one)
	}
}

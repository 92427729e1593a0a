package e2e_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"app238.com/inner/modules/audit/admin"
	"app238.com/inner/modules/controller/workerapp"
	"app238.com/inner/test/program"
)

// auditing has audits delete what two of them, a second apart, have seen without a row.
const auditing = `
audit: {mode: delete, grace: 1s, minAge: 1s, maxDeletionShare: 1, maxShrink: 1}
`

// configure appends settings to the configuration, before Inner is started.
func (w *fixture) configure(t *testing.T, settings string) {
	t.Helper()
	file, err := os.OpenFile(w.configFile, os.O_APPEND|os.O_WRONLY, 0o600)
	require.NoError(t, err)
	_, err = file.WriteString(settings)
	require.NoError(t, err)
	require.NoError(t, file.Close())
}

// startAudited starts Inner with nothing that is older than the audit at its start.
func (w *fixture) startAudited(t *testing.T) *inner {
	t.Helper()
	i := w.start(t)
	require.Eventually(t, func() bool {
		return w.count(t, `SELECT count(*) FROM console_tasks WHERE task_type = 'auth.user_audit' AND task_status = 'finished'`) == 1
	}, timeout, 50*time.Millisecond, "the audit at the start does not end")
	return i
}

// audit has an audit carried out to its end.
func (w *fixture) audit(t *testing.T, i *inner) {
	t.Helper()
	id := i.accept(t, `{"task_type":"UserAuditJob","task_info":{}}`)
	i.awaitTask(t, w, id, "finished")
}

// dryRun returns what `inner audit --dry-run` finds, and its actions by the id of what is found.
func (w *fixture) dryRun(t *testing.T) (a admin.Audit, actions map[string]admin.Action) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program.Path(), "audit", "--dry-run", "-o", "json", "--config", w.configFile)
	out, err := cmd.Output()
	require.NoError(t, err)
	var found struct {
		Audit    admin.Audit
		Findings []admin.Finding
		Users    []admin.User
	}
	require.NoError(t, json.Unmarshal(out, &found), string(out))
	require.Len(t, found.Users, 1)
	actions = map[string]admin.Action{}
	for _, f := range found.Findings {
		actions[f.ID] = f.Action
	}
	return found.Audit, actions
}

// running tells whether a worker's Deployment exists.
func (w *fixture) running(t *testing.T, k worker) bool {
	t.Helper()
	list, err := w.clients.Typed.AppsV1().Deployments(w.namespaces.Worker).List(t.Context(),
		metav1.ListOptions{FieldSelector: "metadata.name=" + k.name()})
	require.NoError(t, err)
	return len(list.Items) > 0
}

// deployed returns workers that are active, and about which no task is unfinished.
func (w *fixture) deployed(t *testing.T, i *inner, ids ...string) []worker {
	t.Helper()
	workers, tasks := make([]worker, len(ids)), make([]int64, len(ids))
	for n, id := range ids {
		workers[n] = w.worker(t, "u1", id, "registry.test/app:1")
		tasks[n] = i.accept(t, workers[n].deployTask())
	}
	for n, k := range workers {
		w.awaitState(t, k, "active", "success")
		i.awaitTask(t, w, tasks[n], "finished")
	}
	return workers
}

func TestAuditRepairsObjectsAndDeletesOrphans(t *testing.T) {
	t.Parallel()
	w := newFixture(t)
	w.configure(t, auditing)
	i := w.startAudited(t)
	w.user(t, "u1", "sk_e2e")
	workers := w.deployed(t, i, "kept", "lost", "orphan")
	kept, lost, orphan := workers[0], workers[1], workers[2]

	require.NoError(t, w.clients.Delete(t.Context(), workerapp.Resource(), w.namespaces.Worker, lost.name(), ""))
	require.Eventually(t, func() bool { return !w.running(t, lost) }, timeout, 50*time.Millisecond)
	_, err := w.db.ExecContext(t.Context(), `DELETE FROM workers WHERE wid = 'orphan'`)
	require.NoError(t, err)
	stuck := w.worker(t, "u1", "stuck", "registry.test/app:1")
	for _, table := range []string{"workers", "worker_deploy_versions"} { // the request of the Outer failed halfway, a while ago
		_, err = w.db.ExecContext(t.Context(), `UPDATE `+table+` SET created_at = created_at - INTERVAL '1 hour'`)
		require.NoError(t, err)
	}
	_, err = w.db.ExecContext(t.Context(), `UPDATE workers SET status = 'loading' WHERE wid = 'stuck'`)
	require.NoError(t, err)

	a, actions := w.dryRun(t)
	require.Equal(t, map[string]admin.Action{"lost": admin.Repair, "stuck": admin.Repair, "orphan": admin.Wait}, actions)
	require.EqualValues(t, 1, a.Users)
	require.False(t, w.running(t, lost), "a dry run changes nothing")

	w.audit(t, i)
	w.awaitState(t, lost, "active", "success")
	w.awaitState(t, stuck, "active", "success")
	require.Eventually(t, func() bool { return w.running(t, lost) && w.running(t, stuck) }, timeout, 50*time.Millisecond)
	require.True(t, w.running(t, orphan), "one audit is not enough")
	require.Eventually(t, func() bool {
		_, actions := w.dryRun(t)
		return actions["orphan"] == admin.Delete && len(actions) == 1
	}, timeout, 500*time.Millisecond)

	w.audit(t, i)
	require.Eventually(t, func() bool { return !w.running(t, orphan) }, timeout, 50*time.Millisecond)
	require.True(t, w.running(t, kept))
	_, actions = w.dryRun(t)
	require.Empty(t, actions)
}

func TestAuditIgnoresUnderivableNames(t *testing.T) {
	t.Parallel()
	w := newFixture(t)
	w.configure(t, auditing)
	i := w.startAudited(t)
	w.user(t, "u1", "sk_e2e")
	w.deployed(t, i, "kept")
	// Names of another's, and one that its labels do not give.
	for n, labels := range []map[string]string{nil, {"worker-id": "x", "owner-id": "u1"}} {
		secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("w-foreign%d-u1-secret", n), Labels: labels}}
		_, err := w.clients.Typed.CoreV1().Secrets(w.namespaces.Worker).Create(t.Context(), secret, metav1.CreateOptions{})
		require.NoError(t, err)
	}
	for range 3 {
		w.audit(t, i)
		_, actions := w.dryRun(t)
		require.Empty(t, actions)
	}
	secrets, err := w.clients.Typed.CoreV1().Secrets(w.namespaces.Worker).List(t.Context(), metav1.ListOptions{})
	require.NoError(t, err)
	require.Len(t, secrets.Items, 3)
}

package e2e_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"app238.com/inner/modules/controller/workerapp"
)

func TestLogsTasksAndWorkerAppsContainNoSecret(t *testing.T) {
	t.Parallel()
	w := newFixture(t)
	i := w.start(t)
	const key, value, secretValue = "sk_MARKER0KEY", "MARKER1ENVIRONMENT", "MARKER2SECRET"
	password := w.proxy.Password(t)
	w.user(t, "u1", key)
	good := w.worker(t, "u1", "good", "registry.test/app:1", "env_json", `{"A":"`+value+`"}`, "secrets_json", `["S","not a name"]`)
	broken := w.worker(t, "u1", "broken", "registry.test/fail/crash:1", "env_json", `{"A":"`+value+`"}`)
	invalid := w.worker(t, "u1", "invalid", "registry.test/app:1", "env_json", `{"not a name":"`+value+`"}`)
	malformed := w.worker(t, "u1", "malformed", "registry.test/app:1", "env_json", `["`+value+`"]`)
	for _, k := range []worker{good, broken, invalid, malformed} {
		i.accept(t, k.deployTask())
	}
	w.awaitState(t, good, "active", "success")
	for _, k := range []worker{broken, invalid, malformed} {
		w.awaitState(t, k, "error", "error")
	}
	var shown string
	for name, status := range map[string]string{"S": "finished", "not a name": "error"} {
		id := i.change(t, w, good, "worker.sync_secret", map[string]string{name: secretValue})
		shown += w.run(t, "tasks", "show", fmt.Sprint(id), "-o", "json")
		i.awaitTask(t, w, id, status)
		shown += w.run(t, "tasks", "show", fmt.Sprint(id))
	}
	require.Equal(t, secretValue, string(w.secret(t, good).Data["S"]))
	i.awaitTask(t, w, i.change(t, w, good, "worker.sync_env", map[string]string{"A": value}), "finished")
	// Outages have the drivers speak.
	w.proxy.Cut()
	i.post(t, "/api/acceptTask", good.deployTask())
	w.proxy.Restore()
	i.awaitReady(t)
	i.stop()
	shown += w.log(t)
	require.Contains(t, shown, "phase changed", "the log is not the one looked for")
	apps, err := w.clients.Dynamic.Resource(workerapp.Resource()).Namespace(w.namespaces.Worker).List(t.Context(),
		metav1.ListOptions{})
	require.NoError(t, err)
	encoded, err := apps.MarshalJSON()
	require.NoError(t, err)
	shown += string(encoded) + w.everyRow(t)
	for _, secret := range []string{key, value, secretValue, password} {
		require.NotContains(t, shown, secret)
	}
}

// everyRow returns what may be shown of tasks and versions.
func (w *fixture) everyRow(t *testing.T) string {
	t.Helper()
	rows, err := w.db.QueryContext(t.Context(), `SELECT task_info || task_detailed_status || last_error FROM console_tasks
		UNION ALL SELECT msg FROM worker_deploy_versions`)
	require.NoError(t, err)
	defer func() { _ = rows.Close() }()
	var all, one string
	for rows.Next() {
		require.NoError(t, rows.Scan(&one))
		all += one + "\n"
	}
	require.NoError(t, rows.Err())
	return all
}

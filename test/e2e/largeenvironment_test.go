package e2e_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// changeEnvironment writes an environment of so many variables and bytes into the row, and sends the task as the existing Outer
// does.
func (i *inner) changeEnvironment(t *testing.T, w *fixture, k worker, variables, size int) (env map[string]string, task int64) {
	t.Helper()
	env = map[string]string{}
	for n := range variables {
		env[fmt.Sprintf("V%d", n)] = strings.Repeat("x", size/variables)
	}
	column, err := json.Marshal(env)
	require.NoError(t, err)
	w.setColumn(t, k, "env_json", string(column))
	w.setColumn(t, k, "status", "loading")
	payload := fmt.Sprintf(`{"worker_id":%q,"user_uid":%q,"data":%s}`, k.id, k.owner, column)
	return env, i.accept(t, fmt.Sprintf(`{"task_type":"worker.sync_env","timestamp":1700000000,"data":%q}`,
		base64.StdEncoding.EncodeToString([]byte(payload))))
}

func TestEnvironmentUpToConfigMapSizeIsApplied(t *testing.T) {
	t.Parallel()
	w := newFixture(t)
	i := w.start(t)
	w.user(t, "u1", "sk_e2e")
	k := w.deployed(t, i, "w1")[0]
	env, task := i.changeEnvironment(t, w, k, 10, 1<<20-100)
	i.awaitTask(t, w, task, "finished")
	require.Equal(t, env, w.env(t, k))
	w.awaitWorker(t, k, "active")

	_, task = i.changeEnvironment(t, w, k, 20, 2<<20)
	require.Contains(t, i.awaitTask(t, w, task, "error"), "at most 1048576 can be kept")
	w.awaitWorker(t, k, "error")
	require.Equal(t, env, w.env(t, k), "what serves keeps its environment")
	require.Less(t, w.count(t, `SELECT max(length(task_info)) FROM console_tasks`), 1000, "the environment is kept by its row alone")
}

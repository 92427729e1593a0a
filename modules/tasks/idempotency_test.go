package tasks_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"app238.com/inner/modules/tasks/internal/store"
)

func TestKeyReusedWithOtherSecretConflictsAfterErasure(t *testing.T) {
	t.Parallel()
	for name, keys := range map[string]struct{ first, later string }{"encrypted": {"a", "ba"}, "not encrypted": {},
		"encrypted since": {"", "a"}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, j := setupVault(t)
			if keys.first != "" {
				b.withKeys(t, keys.first)
			}
			const body = `{"task_type":"test.vault","task_info":{"key":"k","value":"hidden"}}`
			send := func(body string) int {
				return b.request(http.MethodPost, "/api/acceptTask", body, "Idempotency-Key", "once").Code
			}
			require.Equal(t, http.StatusOK, send(body))
			b.start(t)
			require.True(t, <-j.ran)
			b.awaitStatus(t, 1, store.Waiting)
			require.Equal(t, 1, b.count(t, `task_info = '{"key":"k","value":null}' AND info_hash NOT LIKE '%hidden%'`),
				"the secret was not erased")
			if keys.later != "" {
				b.withKeys(t, keys.later)
			}
			require.Equal(t, http.StatusOK, send(body))
			require.Equal(t, http.StatusConflict, send(strings.Replace(body, "hidden", "other", 1)))
			require.Equal(t, http.StatusConflict, send(strings.Replace(body, `"hidden"`, "null", 1)), "without the secret")
			_, err := b.db.ExecContext(t.Context(), `UPDATE console_tasks SET info_hash = NULL`)
			require.NoError(t, err)
			require.Equal(t, http.StatusOK, send(body), "accepted by an earlier release")
		})
	}
}

package main

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"app238.com/inner/modules/audit/admin"
)

func TestLastAuditIsShown(t *testing.T) {
	t.Parallel()
	p := setup(t)
	_, err := p.run(t, "audit")
	require.ErrorContains(t, err, "there was no audit yet")
	_, err = p.db.ExecContext(t.Context(),
		`INSERT INTO inner_audits (task_id, mode, refusal) VALUES (7, 'delete', 'there are no users')`)
	require.NoError(t, err)
	_, err = p.db.ExecContext(t.Context(), `INSERT INTO inner_audit_counts (task_id, kind, things, row_count, orphans)
		VALUES (7, 'worker', 12, 34, 5), (7, 'user', 0, 0, 0)`)
	require.NoError(t, err)
	out, err := p.run(t, "audit")
	require.NoError(t, err)
	require.Regexp(t, `worker +12 +34 +0 +0 +0 +5 +0 +0`, out)
	require.Regexp(t, `7 +delete +0 +\S+ \S+ +- +there are no users`, out)
	out, err = p.run(t, "audit", "-o", "json")
	require.NoError(t, err)
	var last admin.Audit
	require.NoError(t, json.Unmarshal([]byte(out), &last), out)
	require.EqualValues(t, 34, last.Kinds[0].Rows)
	require.Nil(t, last.FinishedAt)
}

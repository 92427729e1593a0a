package main

import (
	"encoding/json"
	"math/big"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"app238.com/inner/modules/combinator/admin"
)

func TestUsageIsSummedByResourceAndDay(t *testing.T) {
	t.Parallel()
	p := setup(t)
	for _, statement := range []string{
		`INSERT INTO combinator_resources (id, user_uid, resource_type, resource_id) VALUES (1, 'u1', 'rdb', 'r1'), (2, 'u2', 'kv', 'r2'), (3, 'u1', 'rdb', 'r3')`,
		`INSERT INTO combinator_resource_reports (user_uid, resource_id, datachange, record_start, record_end) VALUES
			('u1', 1, 5, '2026-05-01 00:00:00', '2026-05-01 00:01:00'), ('u1', 1, -2, '2026-05-01 23:59:59', '2026-05-02 00:00:59'),
			('u1', 1, 9, '2026-05-02 00:00:00', '2026-05-02 00:01:00'), ('u2', 2, 1, '2026-05-01 00:00:00', '2026-05-01 00:01:00')`,
		`INSERT INTO combinator_sizes (user_uid, resource_id, bytes) VALUES ('u1', 'r1', 4096), ('u1', 'r3', 8192)`,
	} {
		_, err := p.db.Exec(statement)
		require.NoError(t, err)
	}
	read := func(args ...string) (days []admin.Day) {
		t.Helper()
		out, err := p.run(t, append([]string{"usage", "-o", "json"}, args...)...)
		require.NoError(t, err)
		require.NoError(t, json.Unmarshal([]byte(out), &days))
		return days
	}
	bytes, other := int64(4096), int64(8192)
	first := admin.Day{Day: "2026-05-01", UserUID: "u1", ResourceID: "r1", ResourceType: "rdb", Reports: 2,
		DataChange: big.NewInt(3), Bytes: &bytes}
	second := admin.Day{Day: "2026-05-02", UserUID: "u1", ResourceID: "r1", ResourceType: "rdb", Reports: 1,
		DataChange: big.NewInt(9), Bytes: &bytes}
	quiet := admin.Day{UserUID: "u1", ResourceID: "r3", ResourceType: "rdb", DataChange: big.NewInt(0), Bytes: &other}
	require.Equal(t, []admin.Day{first, second, quiet}, read("--user", "u1"))
	require.Equal(t, []admin.Day{first, quiet}, read("--user", "u1", "--from", "2026-05-01", "--to", "2026-05-01"))
	require.Len(t, read(), 4)
	out, err := p.run(t, "usage", "--user", "u2")
	require.NoError(t, err)
	require.Equal(t, []string{"u2", "r2", "kv", "2026-05-01", "1", "1", "-"},
		strings.Fields(strings.Split(strings.TrimSpace(out), "\n")[1]))
	_, err = p.run(t, "usage", "--from", "yesterday")
	require.ErrorContains(t, err, "--from")
}

func TestUsageBeyondInt64IsExact(t *testing.T) {
	t.Parallel()
	p := setup(t)
	_, err := p.db.Exec(`INSERT INTO combinator_resources (id, user_uid, resource_type, resource_id) VALUES (1, 'u1', 'rdb', 'r1')`)
	require.NoError(t, err)
	_, err = p.db.Exec(`INSERT INTO combinator_resource_reports (user_uid, resource_id, datachange, record_start, record_end)
		SELECT 'u1', 1, -9223372036854775808, '2026-05-01 00:00:00', '2026-05-01 00:00:00' FROM generate_series(1, 3)`)
	require.NoError(t, err)
	for _, format := range formats {
		out, err := p.run(t, "usage", "-o", format)
		require.NoError(t, err)
		require.Regexp(t, `[ \n]-27670116110564327424[ ,\n]`, out)
	}
}

func TestDatabaseErrorsAreExplained(t *testing.T) {
	t.Parallel()
	p := setup(t)
	for _, table := range []string{"combinator_resource_reports", "console_tasks", "inner_domain_checks", "inner_audits"} {
		_, err := p.db.Exec("DROP TABLE " + table)
		require.NoError(t, err)
	}
	for _, args := range [][]string{
		{"usage"}, {"audit"}, {"tasks", "list"}, {"tasks", "show", "1"}, {"tasks", "stats"}, {"tasks", "retry", "1"},
		{"domains", "list"},
	} {
		_, err := p.run(t, args...)
		require.ErrorContains(t, err, "lacks a table or column; run: inner migrate (SQLSTATE 42P01)", args)
		for _, words := range []string{"pq:", "relation", "does not exist"} {
			require.NotContains(t, err.Error(), words, args)
		}
	}
	out, err := p.run(t, "status", "-k", os.Getenv("INNER_TEST_KUBECONFIG"))
	require.ErrorIs(t, err, errDegraded)
	require.NotContains(t, out, "pq:")
}

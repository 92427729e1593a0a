package status_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	appstatus "app238.com/inner/app/status"
	"app238.com/inner/modules/domains/internal/status"
	"app238.com/inner/modules/domains/internal/store"
	"app238.com/inner/test/testdatabase"
)

// add inserts n domains with checks whose columns these are.
func add(t *testing.T, db *testdatabase.Database, n int, name, columns, values string) {
	t.Helper()
	for i := range n {
		cdid, domain := fmt.Sprintf("%s%d", name, i), fmt.Sprintf("%s%d.example.test", name, i)
		_, err := db.ExecContext(t.Context(), `INSERT INTO custom_domains (cdid, user_uid, domain, target, txt_name, txt_value)
			VALUES ($1, 'u1', $2, 'x', 'y', 'z')`, cdid, domain)
		require.NoError(t, err)
		_, err = db.ExecContext(t.Context(), `INSERT INTO inner_domain_checks (cdid, row_id, name, user_uid, domain, target, txt_name,
			txt_value, host, `+columns+`) SELECT cdid, id, cdid, user_uid, domain, target, txt_name, txt_value, domain, `+values+`
			FROM custom_domains WHERE cdid = $1`, cdid)
		require.NoError(t, err)
	}
}

func TestStatusCountsDomainsAndNamesTenThatFail(t *testing.T) {
	t.Parallel()
	db := testdatabase.New(t)
	probe := status.New(store.New(db.DB, db.Config)).Probe
	report, err := probe(t.Context())
	require.NoError(t, err)
	require.Equal(t, appstatus.Report{Condition: appstatus.OK, Text: "no custom domains"}, report)

	add(t, db, 20, "served", "verified", "true")
	add(t, db, 3, "young", "verified", "false")
	add(t, db, 4, "failing", "verified, failures, detail", "true, 2, 'no TXT record'")
	add(t, db, 9, "never", "wished_status, detail", "'error', 'no CNAME'")
	report, err = probe(t.Context())
	require.NoError(t, err)
	require.Equal(t, appstatus.OK, report.Condition, "their users' doing")
	require.Equal(t, "36 custom domains: 3 pending, 20 verified, 4 failing, 9 error", report.Text)
	require.Len(t, report.Details, 11)
	require.Equal(t, appstatus.Detail{Name: "failing3.example.test", Value: "failing: no TXT record"}, report.Details[0])
	require.Equal(t, appstatus.Detail{Name: "never8.example.test", Value: "error: no CNAME"}, report.Details[4])
	require.Equal(t, appstatus.Detail{Name: "3 more", Value: "inner domains list"}, report.Details[10])

	add(t, db, 30, "mistyped", "refusal", "'the target is not ours'")
	report, err = probe(t.Context())
	require.NoError(t, err)
	require.Equal(t, appstatus.OK, report.Condition, "their users' doing")

	add(t, db, 6, "lost", "verified, failures", "true, 1")
	report, err = probe(t.Context())
	require.NoError(t, err)
	require.Equal(t, appstatus.Degraded, report.Condition, "10 of 30 verified ones")
}

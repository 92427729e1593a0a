package audit_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"app238.com/inner/modules/audit/admin"
)

// repairStuck repairs stuck rows, as the job audit.stuck_rows does.
func (b *bundle) repairStuck() *recorder {
	b.t.Helper()
	b.task++
	f := &recorder{}
	require.NoError(b.t, b.auditor().RepairStuck(b.t.Context(), b.task, f))
	return f
}

func TestStuckRowsAreRepairedWithoutAnAudit(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.Config.Audit.PageSize = 2
	for i := range 5 {
		b.addWorker(fmt.Sprint("stuck", i), "loading")
	}
	b.addWorker("under way", "loading")
	b.active = []string{key("under way", "u1")}
	b.addWorker("missing", "active")
	b.addObjects("orphan")
	b.exec(`INSERT INTO workers (wid, user_uid, worker_name, status) VALUES ('young', 'u1', '', 'loading')`)
	b.exec(`INSERT INTO workers (wid, user_uid, worker_name, status, created_at)
		VALUES ('nobodys', 'nobody', '', 'loading', LOCALTIMESTAMP - INTERVAL '1 day')`)
	f := b.repairStuck()
	require.ElementsMatch(t, []string{"stuck0", "stuck1", "stuck2", "stuck3", "stuck4"}, b.inventory.repaired)
	require.Len(t, f.findings, 5)
	require.Equal(t, admin.Stuck, f.findings[0].Problem)
	_, err := b.auditor().Last(t.Context())
	require.ErrorIs(t, err, admin.ErrNone, "it is not recorded as an audit")
}

func TestRepairsOfStuckRowsAreLimited(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.Config.Audit.MaxRepairs = 2
	for i := range 5 {
		b.addWorker(fmt.Sprint("stuck", i), "loading")
	}
	require.Contains(t, b.repairStuck().reason("stuck4"), "audit.maxRepairs")
	require.Equal(t, []string{"stuck0", "stuck1"}, b.inventory.repaired)
}

package audit_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"app238.com/inner/modules/audit/admin"
)

// unstick looks for rows that are stuck, as a task of its own does.
func (b *bundle) unstick() *found {
	b.t.Helper()
	b.task++
	f := &found{}
	require.NoError(b.t, b.examiner().Unstick(b.t.Context(), b.task, f))
	return f
}

func TestStuckRowsDoNotWaitForTheAudit(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.Config.Audit.PageSize = 2
	for i := range 5 {
		b.worker(fmt.Sprint("stuck", i), "loading")
	}
	b.worker("under way", "loading")
	b.underWay = []string{key("under way", "u1")}
	b.worker("missing", "active")
	b.thing("orphan")
	b.exec(`INSERT INTO workers (wid, user_uid, worker_name, status) VALUES ('young', 'u1', '', 'loading')`)
	b.exec(`INSERT INTO workers (wid, user_uid, worker_name, status, created_at)
		VALUES ('nobodys', 'nobody', '', 'loading', LOCALTIMESTAMP - INTERVAL '1 day')`)
	f := b.unstick()
	require.ElementsMatch(t, []string{"stuck0", "stuck1", "stuck2", "stuck3", "stuck4"}, b.world.repaired)
	require.Len(t, f.findings, 5)
	require.Equal(t, admin.Stuck, f.findings[0].Problem)
	_, err := b.examiner().Last(t.Context())
	require.ErrorIs(t, err, admin.ErrNone, "it is no audit, and nothing of it counts as one")
}

func TestOfManyStuckRowsSomeWait(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.Config.Audit.MaxRepairs = 2
	for i := range 5 {
		b.worker(fmt.Sprint("stuck", i), "loading")
	}
	require.Contains(t, b.unstick().why("stuck4"), "audit.maxRepairs")
	require.Equal(t, []string{"stuck0", "stuck1"}, b.world.repaired)
}

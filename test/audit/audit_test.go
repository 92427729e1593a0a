// Package audit_test runs the audit as in production: by the queue, on several replicas, with deletions by jobs.
package audit_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestReplicasAuditOnceAndNeverConcurrently(t *testing.T) {
	t.Parallel()
	p := setup(t, names(30)...)
	one, two := p.start(), p.start()
	p.await(1, "finished")
	require.Equal(t, 1, p.count(`SELECT count(*) FROM console_tasks WHERE task_type = 'auth.user_audit'`),
		"each replica has looked, and one audit was made")
	for range 6 {
		one.audit(t)
		two.audit(t)
	}
	p.await(13, "finished")
	require.Eventually(t, func() bool {
		exist, _, _ := p.objects.snapshot()
		return len(exist) == 0
	}, timeout, 10*time.Millisecond)
	_, deleted, started := p.objects.snapshot()
	require.ElementsMatch(t, names(30), deleted, "each orphan is deleted by one job")
	require.Equal(t, 13, started)
	require.Equal(t, 1, p.objects.most)
	require.Equal(t, 13, p.count(`SELECT count(*) FROM inner_audits WHERE finished_at IS NOT NULL`))
}

func TestInterruptedAuditIsRunByAnotherReplica(t *testing.T) {
	t.Parallel()
	p := setup(t, names(5)...)
	one := p.start()
	p.await(1, "finished")
	p.objects.mu.Lock()
	p.objects.hold = func(list int) bool { return list == 2 }
	p.objects.mu.Unlock()
	task := one.audit(t)
	require.Eventually(t, func() bool { _, _, started := p.objects.snapshot(); return started == 2 }, timeout, 5*time.Millisecond)
	one.stop()
	require.Zero(t, p.count(`SELECT count(*) FROM inner_audits WHERE task_id = $1 AND finished_at IS NOT NULL`, task))
	_, deleted, _ := p.objects.snapshot()
	require.Empty(t, deleted)
	p.start()
	p.await(2, "finished")
	require.Eventually(t, func() bool {
		_, deleted, _ := p.objects.snapshot()
		return len(deleted) == 5
	}, timeout, 10*time.Millisecond)
	require.Equal(t, 1, p.count(`SELECT count(*) FROM inner_audits WHERE task_id = $1 AND finished_at IS NOT NULL`, task))
}

func TestForbiddenAuditDeletionIsError(t *testing.T) {
	t.Parallel()
	p := setup(t, names(3)...)
	one := p.start()
	p.await(1, "finished")
	p.exec(`DELETE FROM users`)
	task := one.audit(t)
	p.await(1, "error")
	var reason string
	require.NoError(t, p.QueryRowContext(t.Context(), `SELECT last_error FROM console_tasks WHERE id = $1`, task).Scan(&reason))
	require.Contains(t, reason, "orphans were found and none deleted: there are no rows of kind user")
	_, deleted, _ := p.objects.snapshot()
	require.Empty(t, deleted)
}

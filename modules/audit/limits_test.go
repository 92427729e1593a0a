package audit_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"app238.com/inner/modules/audit/admin"
	"app238.com/inner/modules/audit/inventory"
)

func TestNothingIsDeletedWithoutUsers(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.addWorker("row", "active")
	b.addObjects("row", "orphan")
	b.audit()
	b.elapse(day)
	b.exec(`DELETE FROM users`)
	a, f := b.audit()
	require.Equal(t, "there are no rows of kind user, and there were 1", a.Refusal)
	require.Equal(t, map[string]admin.Action{"orphan": admin.Report}, f.actions())
	require.Contains(t, f.reason("orphan"), "there are no rows of kind user")
	require.Empty(t, b.inventory.deleted)
}

func TestNothingIsDeletedWhereNoUserWasEverCounted(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.exec(`DELETE FROM users`)
	a, _ := b.audit()
	require.Empty(t, a.Refusal, "a new platform: nothing is refused")
	require.Empty(t, a.Kinds[0].Refusal)
	b.addObjects("orphan")
	for range 3 {
		b.elapse(day)
		a, f := b.audit()
		require.Equal(t, "there are no users", a.Kinds[0].Refusal)
		require.Equal(t, map[string]admin.Action{"orphan": admin.Report}, f.actions())
		require.Contains(t, f.reason("orphan"), "there are no users")
	}
	require.Empty(t, b.inventory.deleted)
}

func TestShrunkUsersRefuseDeletionsWithinTheWindow(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.exec(`DELETE FROM users`)
	b.addUsers(100)
	b.addObjects("orphan")
	b.audit()
	b.elapse(day)
	b.exec(`DELETE FROM users WHERE id IN (SELECT id FROM users ORDER BY id DESC LIMIT 21)`)
	for range 3 { // the smaller number does not replace the maximum when it is counted again
		a, f := b.audit()
		require.Contains(t, a.Refusal, "from 100 to 79")
		require.Equal(t, admin.Report, f.actions()["orphan"])
		b.elapse(day)
	}
	require.Empty(t, b.inventory.deleted)
	b.elapse(b.Config.Audit.ShrinkWindow)
	a, _ := b.audit()
	require.Empty(t, a.Refusal, "the maximum of the window and of the last audit is 79")
	b.elapse(day)
	b.audit()
	require.Equal(t, []string{"orphan"}, b.inventory.deleted)
}

func TestShrinkingWithinTheShareIsAllowed(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.exec(`DELETE FROM users`)
	b.addUsers(100)
	b.addObjects("orphan")
	b.audit()
	b.elapse(day)
	b.exec(`DELETE FROM users WHERE id IN (SELECT id FROM users ORDER BY id DESC LIMIT 20)`)
	b.audit()
	require.Equal(t, []string{"orphan"}, b.inventory.deleted)
}

func TestObjectsStayWhenAllRowsOfAKindVanish(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for i := range 10 {
		b.addWorker(fmt.Sprint("w", i), "active")
		b.addObjects(fmt.Sprint("w", i))
	}
	b.audit()
	b.exec(`DELETE FROM workers`)
	for range 3 {
		b.elapse(day)
		a, f := b.audit()
		require.Empty(t, a.Refusal)
		require.Contains(t, a.Kinds[0].Refusal, "there were 10")
		require.Len(t, f.findings, 10)
		require.Equal(t, admin.Report, f.actions()["w0"])
	}
	require.Empty(t, b.inventory.deleted)
}

func TestUserCreatedDuringAuditIsUntouched(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.addObjects("orphan")
	b.audit()
	b.elapse(day)
	appear := func(wid, uid string) {
		b.exec(`INSERT INTO users (uid, email, password_hash, secret_key) VALUES ($1, $1, '', '')`, uid)
		b.exec(`INSERT INTO workers (wid, user_uid, worker_name, status) VALUES ($1, $2, '', 'active')`, wid, uid)
		b.inventory.add(object(wid, uid))
	}
	b.inventory.onList = func() {
		appear("after the list", "u-a")
		b.exec(`INSERT INTO workers (wid, user_uid, worker_name, status) VALUES ('without its object', 'u-a', '', 'active')`)
		b.exec(`INSERT INTO workers (wid, user_uid, worker_name, status) VALUES ('without its task', 'u-a', '', 'loading')`)
	}
	pages := 0
	b.inventory.onPage = func([]inventory.Desired) { // also after the last, empty page: that row is not read any more
		pages++
		appear(fmt.Sprint("after page ", pages), fmt.Sprint("u-b", pages))
		if pages == 2 {
			b.inventory.onPage = nil
		}
	}
	_, f := b.audit()
	require.Equal(t, map[string]admin.Action{"orphan": admin.Delete}, f.actions(), "no findings about new rows and objects")
	require.Equal(t, []string{"orphan"}, b.inventory.deleted)
	require.Empty(t, b.inventory.repaired)
	require.GreaterOrEqual(t, pages, 2)
	require.Len(t, b.inventory.objects, 1+pages)
	b.inventory.onList = nil
	b.elapse(day)
	b.audit()
	require.Equal(t, []string{"orphan"}, b.inventory.deleted)
}

func TestRowsChangedBetweenPagesAreNotSkipped(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.Config.Audit.PageSize, b.Config.Audit.MaxShrink = 7, 1
	for i := range 50 {
		b.addWorker(fmt.Sprintf("w%02d", i), "active")
		b.addObjects(fmt.Sprintf("w%02d", i))
	}
	b.addObjects("orphan")
	b.exec(`UPDATE workers SET id = id * 1000`)
	b.audit()
	b.elapse(day)
	const end = 1_000_000
	n := 0
	b.inventory.onPage = func(page []inventory.Desired) {
		if len(page) == 0 || page[0].Row >= end {
			return
		}
		// Deleted rows of this page would make an offset skip as many later rows; others are inserted before and after.
		b.exec(`DELETE FROM workers WHERE id = $1 OR id = $2`, page[0].Row, page[len(page)-1].Row)
		for range 3 {
			n++
			b.exec(`INSERT INTO workers (id, wid, user_uid, worker_name, status) VALUES ($1, $2, 'u1', '', 'unloaded')`,
				page[0].Row-int64(n), fmt.Sprint("before", n))
			b.exec(`INSERT INTO workers (id, wid, user_uid, worker_name, status) VALUES ($1, $2, 'u1', '', 'unloaded')`,
				end+n, fmt.Sprint("after", n))
		}
	}
	_, f := b.audit()
	require.Equal(t, map[string]admin.Action{"orphan": admin.Delete}, f.actions())
	require.Len(t, b.inventory.objects, 50)
}

func TestDeletionsAreLimitedByNumberAndShare(t *testing.T) {
	t.Parallel()
	for name, limit := range map[string]struct {
		number int
		share  float64
		want   int
	}{
		"number": {4, 1, 4},
		"share":  {100, 0.25, 5}, // of 20 objects, of which 12 are orphans
		"least":  {100, 0.001, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			b.Config.Audit.MaxDeletions, b.Config.Audit.MaxDeletionShare = limit.number, limit.share
			for i := range 8 {
				b.addWorker(fmt.Sprint("w", i), "active")
				b.addObjects(fmt.Sprint("w", i))
			}
			for i := range 12 {
				b.addObjects(fmt.Sprint("orphan", i))
			}
			b.audit()
			b.elapse(day)
			a, f := b.audit()
			require.Len(t, b.inventory.deleted, limit.want)
			require.EqualValues(t, limit.want, a.Kinds[0].Deleted)
			require.EqualValues(t, 12, a.Kinds[0].Orphans)
			b.rerun()
			require.LessOrEqual(t, len(b.inventory.deleted), limit.want, "the same audit run again deletes no more")
			waiting := 0
			for _, action := range f.actions() {
				if action == admin.Wait {
					waiting++
				}
			}
			require.Equal(t, 12-limit.want, waiting)
		})
	}
}

func TestKilledAuditKeepsItsLimitsWhenRunAgain(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.Config.Audit.MaxDeletions = 5
	for i := range 9 {
		b.addObjects(fmt.Sprint("orphan", i))
	}
	b.audit()
	b.elapse(day)
	b.task++
	ctx, kill := context.WithCancel(t.Context())
	b.inventory.onDelete = func(string) error {
		if len(b.inventory.deleted) == 3 {
			kill()
			return ctx.Err()
		}
		return nil
	}
	_, err := b.auditor().Run(ctx, b.task, &recorder{})
	require.ErrorIs(t, err, context.Canceled)
	require.Len(t, b.inventory.deleted, 3)
	b.inventory.onDelete = nil
	b.rerun()
	require.Len(t, b.inventory.deleted, 4, "the deletion during the kill may have happened, so it counts")
	b.elapse(time.Hour)
	b.audit()
	require.Len(t, b.inventory.deleted, 9, "each is deleted once, by the next audits")
}

func TestOldAuditsAreDeleted(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.task = 200
	b.exec(`INSERT INTO inner_audits (task_id, mode, started_at)
		SELECT i, 'report', LOCALTIMESTAMP - INTERVAL '1 year' FROM generate_series(1, 150) AS i`)
	b.exec(`INSERT INTO inner_audit_counts (task_id, kind, row_count, created_at)
		SELECT i, 'worker', 1, LOCALTIMESTAMP - INTERVAL '1 year' FROM generate_series(1, 150) AS i`)
	b.addWorker("w", "unloaded")
	b.audit()
	require.Equal(t, 100, b.count(`SELECT count(*) FROM inner_audits`))
	require.Equal(t, 52, b.count(`SELECT min(task_id) FROM inner_audits`), "the newest are kept")
	require.Equal(t, 52, b.count(`SELECT min(task_id) FROM inner_audit_counts`))
}

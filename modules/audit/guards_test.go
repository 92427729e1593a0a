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

func TestWithoutUsersNothingIsDeleted(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.worker("row", "active")
	b.thing("row", "orphan")
	b.audit()
	b.pass(day)
	b.exec(`DELETE FROM users`)
	a, f := b.audit()
	require.Equal(t, "there are no users", a.Refusal)
	require.Equal(t, map[string]admin.Action{"orphan": admin.Tell}, f.actions())
	require.Contains(t, f.why("orphan"), "there are no users")
	require.Empty(t, b.world.deleted)
}

func TestUsersThatShrankAreRefusedUntilTheWindowIsOver(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.exec(`DELETE FROM users`)
	b.users(100)
	b.thing("orphan")
	b.audit()
	b.pass(day)
	b.exec(`DELETE FROM users WHERE id IN (SELECT id FROM users ORDER BY id DESC LIMIT 21)`)
	for range 3 { // the smaller number does not become the measure by being seen again
		a, f := b.audit()
		require.Contains(t, a.Refusal, "from 100 to 79")
		require.Equal(t, admin.Tell, f.actions()["orphan"])
		b.pass(day)
	}
	require.Empty(t, b.world.deleted)
	b.pass(b.Config.Audit.ShrinkWindow)
	a, _ := b.audit()
	require.Empty(t, a.Refusal, "the most of the window and of the last audit is 79")
	b.pass(day)
	b.audit()
	require.Equal(t, []string{"orphan"}, b.world.deleted)
}

func TestAShareThatIsAllowedToGoDoesNotRefuse(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.exec(`DELETE FROM users`)
	b.users(100)
	b.thing("orphan")
	b.audit()
	b.pass(day)
	b.exec(`DELETE FROM users WHERE id IN (SELECT id FROM users ORDER BY id DESC LIMIT 20)`)
	b.audit()
	require.Equal(t, []string{"orphan"}, b.world.deleted)
}

func TestRowsOfAKindThatVanishedKeepTheirThings(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for i := range 10 {
		b.worker(fmt.Sprint("w", i), "active")
		b.thing(fmt.Sprint("w", i))
	}
	b.audit()
	b.exec(`DELETE FROM workers`)
	for range 3 {
		b.pass(day)
		a, f := b.audit()
		require.Empty(t, a.Refusal)
		require.Contains(t, a.Kinds[0].Refusal, "there were 10")
		require.Len(t, f.findings, 10)
		require.Equal(t, admin.Tell, f.actions()["w0"])
	}
	require.Empty(t, b.world.deleted)
}

func TestAUserThatIsCreatedDuringTheAuditIsUntouched(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.thing("orphan")
	b.audit()
	b.pass(day)
	appear := func(wid, uid string) {
		b.exec(`INSERT INTO users (uid, email, password_hash, secret_key) VALUES ($1, $1, '', '')`, uid)
		b.exec(`INSERT INTO workers (wid, user_uid, worker_name, status) VALUES ($1, $2, '', 'active')`, wid, uid)
		b.world.put(object(wid, uid))
	}
	b.world.listed = func() {
		appear("after the list", "u-a")
		b.exec(`INSERT INTO workers (wid, user_uid, worker_name, status) VALUES ('without its thing', 'u-a', '', 'active')`)
		b.exec(`INSERT INTO workers (wid, user_uid, worker_name, status) VALUES ('without its task', 'u-a', '', 'loading')`)
	}
	pages := 0
	b.world.paged = func([]inventory.Desired) { // also after the last, empty one: its row is not read any more
		pages++
		appear(fmt.Sprint("after page ", pages), fmt.Sprint("u-b", pages))
		if pages == 2 {
			b.world.paged = nil
		}
	}
	_, f := b.audit()
	require.Equal(t, map[string]admin.Action{"orphan": admin.Delete}, f.actions(), "the audit does not see the new ones at all")
	require.Equal(t, []string{"orphan"}, b.world.deleted)
	require.Empty(t, b.world.repaired)
	require.GreaterOrEqual(t, pages, 2)
	require.Len(t, b.world.things, 1+pages)
	b.world.listed = nil
	b.pass(day)
	b.audit()
	require.Equal(t, []string{"orphan"}, b.world.deleted)
}

func TestRowsThatComeAndGoBetweenPagesShiftNothing(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.Config.Audit.PageSize, b.Config.Audit.MaxShrink = 7, 1
	for i := range 50 {
		b.worker(fmt.Sprintf("w%02d", i), "active")
		b.thing(fmt.Sprintf("w%02d", i))
	}
	b.thing("orphan")
	b.exec(`UPDATE workers SET id = id * 1000`)
	b.audit()
	b.pass(day)
	const end = 1_000_000
	n := 0
	b.world.paged = func(page []inventory.Desired) {
		if len(page) == 0 || page[0].Row >= end {
			return
		}
		// Rows of this page go, so that an offset would skip as many of those to come; others come, before and after.
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
	require.Len(t, b.world.things, 50)
}

func TestDeletionsKeepToNumberAndShare(t *testing.T) {
	t.Parallel()
	for name, limit := range map[string]struct {
		number int
		share  float64
		want   int
	}{
		"number": {4, 1, 4},
		"share":  {100, 0.25, 5}, // of 20 things, of which 12 are orphans
		"least":  {100, 0.001, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			b.Config.Audit.MaxDeletions, b.Config.Audit.MaxDeletionShare = limit.number, limit.share
			for i := range 8 {
				b.worker(fmt.Sprint("w", i), "active")
				b.thing(fmt.Sprint("w", i))
			}
			for i := range 12 {
				b.thing(fmt.Sprint("orphan", i))
			}
			b.audit()
			b.pass(day)
			a, f := b.audit()
			require.Len(t, b.world.deleted, limit.want)
			require.EqualValues(t, limit.want, a.Kinds[0].Deleted)
			require.EqualValues(t, 12, a.Kinds[0].Orphans)
			b.again()
			require.LessOrEqual(t, len(b.world.deleted), limit.want, "the same audit run again has no more")
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

func TestAnAuditThatIsKilledHalfwayGoesOnWithItsLimits(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.Config.Audit.MaxDeletions = 5
	for i := range 9 {
		b.thing(fmt.Sprint("orphan", i))
	}
	b.audit()
	b.pass(day)
	b.task++
	ctx, kill := context.WithCancel(t.Context())
	b.world.deleting = func(string) error {
		if len(b.world.deleted) == 3 {
			kill()
			return ctx.Err()
		}
		return nil
	}
	_, err := b.examiner().Run(ctx, b.task, &found{})
	require.ErrorIs(t, err, context.Canceled)
	require.Len(t, b.world.deleted, 3)
	b.world.deleting = nil
	b.again()
	require.Len(t, b.world.deleted, 4, "the one that was begun when it was killed may have been made, so it counts")
	b.pass(time.Hour)
	b.audit()
	require.Len(t, b.world.deleted, 9, "each once, in the next audits")
}

func TestAuditsOfLongAgoAreForgotten(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.task = 200
	b.exec(`INSERT INTO inner_audits (task_id, mode, started_at)
		SELECT i, 'report', LOCALTIMESTAMP - INTERVAL '1 year' FROM generate_series(1, 150) AS i`)
	b.exec(`INSERT INTO inner_audit_counts (task_id, kind, row_count, created_at)
		SELECT i, 'worker', 1, LOCALTIMESTAMP - INTERVAL '1 year' FROM generate_series(1, 150) AS i`)
	b.worker("w", "unloaded")
	b.audit()
	require.Equal(t, 100, b.count(`SELECT count(*) FROM inner_audits`))
	require.Equal(t, 52, b.count(`SELECT min(task_id) FROM inner_audits`), "the newest are kept")
	require.Equal(t, 52, b.count(`SELECT min(task_id) FROM inner_audit_counts`))
}

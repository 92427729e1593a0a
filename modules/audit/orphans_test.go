package audit_test

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"app238.com/inner/app/config"
	"app238.com/inner/modules/audit/admin"
	"app238.com/inner/modules/audit/internal/auditor"
	"app238.com/inner/modules/audit/inventory"
)

func TestOrphanIsDeletedAfterTwoAuditsAndGrace(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.addWorker("kept", "active")
	b.addObjects("kept", "orphan")
	_, f := b.audit()
	require.Equal(t, map[string]admin.Action{"orphan": admin.Wait}, f.actions())
	_, f = b.audit()
	require.Equal(t, admin.Wait, f.actions()["orphan"], "two audits within the grace period")
	require.Contains(t, f.reason("orphan"), "audit.grace is 24h")
	require.Empty(t, b.inventory.deleted)
	b.elapse(day)
	a, f := b.audit()
	require.Equal(t, admin.Delete, f.actions()["orphan"])
	require.EqualValues(t, 1, a.Kinds[0].Deleted)
	require.Equal(t, []string{"orphan"}, b.inventory.deleted)
	require.True(t, b.inventory.has("kept"))
}

func TestRerunAuditIsNoSecondObservation(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.addObjects("orphan")
	b.audit()
	b.elapse(day)
	b.rerun()
	require.Empty(t, b.inventory.deleted)
	b.audit()
	require.Equal(t, []string{"orphan"}, b.inventory.deleted)
}

func TestRowThatReturnsRestartsTheGrace(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.addObjects("w")
	b.audit()
	b.elapse(day)
	b.addWorker("w", "active")
	b.audit()
	b.exec(`DELETE FROM workers`)
	b.Config.Audit.MaxShrink, b.Config.Audit.ShrinkWindow = 1, 100*day
	b.addWorker("other", "unloaded") // a kind without any rows is refused
	b.elapse(day)
	_, f := b.audit()
	require.Equal(t, admin.Wait, f.actions()["w"], "the first observation of a new series")
	require.True(t, b.inventory.has("w"))
}

func TestObservationsExpire(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.addObjects("orphan")
	b.audit()
	b.elapse(b.Config.Audit.ShrinkWindow + time.Hour)
	b.audit()
	require.Empty(t, b.inventory.deleted)
}

func TestNothingIsDeletedAfterAnIncompleteList(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.addWorker("missing", "active")
	b.addObjects("a", "b", "c")
	b.audit()
	b.elapse(day)
	other := &fakeInventory{db: b.DB, kind: "other", objects: map[string]inventory.Object{}}
	other.add(object("orphan", "u1"))
	other.add(object("missing", "u1"))
	b.task++
	for cause, interrupt := range map[string]func(){
		"the list was cut off":                   func() { b.inventory.truncateAfter = 2 },
		"more than 2 objects":                    func() { b.Config.Audit.MaxObjects = 2 },
		"more than 2 objects (audit.maxObjects)": func() { b.Config.Audit.MaxObjects, b.inventory.ignoreErrors = 2, true },
	} {
		b.inventory.truncateAfter, b.inventory.ignoreErrors, b.inventory.repaired, b.Config.Audit.MaxObjects = 0, false, nil, 1000
		interrupt()
		f := &recorder{}
		a, err := b.auditor(other).Run(t.Context(), b.task, f)
		require.ErrorContains(t, err, cause)
		require.NotEmpty(t, a.Kinds[1].Error, cause)
		require.Empty(t, b.inventory.deleted, cause)
		require.Empty(t, b.inventory.repaired, cause)
		require.Equal(t, map[string]admin.Action{"orphan": admin.Wait}, f.actions(), "the other kind is audited")
		require.Equal(t, 3, b.count(`SELECT count(*) FROM inner_audit_sightings WHERE kind = 'worker'`), "the series goes on")
		require.Zero(t, b.count(`SELECT count(*) FROM inner_audits WHERE finished_at IS NOT NULL AND task_id = $1`, b.task))
	}
}

func (b *bundle) count(query string, args ...any) (n int) {
	b.t.Helper()
	require.NoError(b.t, b.QueryRowContext(b.t.Context(), query, args...).Scan(&n))
	return n
}

func TestObjectWithUnfinishedTaskIsLeftAlone(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.addObjects("a", "b")
	b.audit()
	b.elapse(day)
	b.active = []string{key("a", "u1")}
	a, f := b.audit()
	require.Equal(t, map[string]admin.Action{"b": admin.Delete}, f.actions())
	require.EqualValues(t, 1, a.Kinds[0].Orphans)
	require.True(t, b.inventory.has("a"))
}

func TestReferencedObjectIsKept(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.addObjects("w")
	b.audit()
	b.elapse(day)
	b.inventory.onDelete = func(string) error { b.addWorker("w", "loading"); return nil }
	a, f := b.audit()
	require.Equal(t, admin.Report, f.actions()["w"])
	require.Zero(t, a.Kinds[0].Deleted)
	require.True(t, b.inventory.has("w"))
}

func TestFailedDeletionIsReportedAndRetried(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.addObjects("a", "b", "kept", "kept too") // so that the share leaves room for another attempt
	b.addWorker("kept", "active")
	b.addWorker("kept too", "active")
	b.audit()
	b.elapse(day)
	b.task++
	b.inventory.onDelete = func(n string) error {
		if n == name("a", "u1") {
			return errors.New("refused")
		}
		return nil
	}
	f := &recorder{}
	_, err := b.auditor().Run(t.Context(), b.task, f)
	require.ErrorContains(t, err, "1 deletions failed")
	require.Equal(t, map[string]admin.Action{"a": admin.Fail, "b": admin.Delete}, f.actions())
	b.inventory.onDelete = nil
	b.rerun()
	require.ElementsMatch(t, []string{"a", "b"}, b.inventory.deleted)
}

func TestModeReportRepairsRowsAndKeepsOrphans(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.Config.Audit.Mode = config.AuditReports
	b.addWorker("missing", "active")
	b.addObjects("orphan")
	b.audit()
	b.elapse(day)
	_, f := b.audit()
	require.Equal(t, map[string]admin.Action{"orphan": admin.Report}, f.actions())
	require.Contains(t, f.reason("orphan"), "audit.mode is report")
	require.Empty(t, b.inventory.deleted)
	require.Equal(t, []string{"missing"}, b.inventory.repaired)
}

func TestDryRunReportsTheSameAndChangesNothing(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.addWorker("missing", "active")
	b.addObjects("due", "also due")
	b.audit()
	b.elapse(day)
	b.addWorker("missing too", "active")
	b.addObjects("new")
	b.Config.Audit.MaxDeletions = 1
	b.inventory.repaired = nil
	state := `SELECT md5(string_agg(x, '|' ORDER BY x)) FROM (
		SELECT CAST(a AS TEXT) AS x FROM inner_audits a UNION ALL SELECT CAST(c AS TEXT) FROM inner_audit_counts c
		UNION ALL SELECT CAST(s AS TEXT) FROM inner_audit_sightings s) AS rows`
	before := b.text(state)
	f := &recorder{}
	a, err := b.auditor().DryRun(t.Context(), f)
	require.NoError(t, err)
	require.Equal(t, map[string]admin.Action{
		"missing too": admin.Repair, "also due": admin.Delete, "due": admin.Wait, "new": admin.Wait,
	}, f.actions())
	require.Contains(t, f.reason("due"), "audit.maxDeletions")
	require.Equal(t, []int64{1, 1, 3}, []int64{a.Kinds[0].Repaired, a.Kinds[0].Deleted, a.Kinds[0].Orphans})
	require.Empty(t, b.inventory.deleted)
	require.Empty(t, b.inventory.repaired)
	require.Equal(t, before, b.text(state))

	_, acted := b.audit()
	require.Equal(t, f.actions(), acted.actions(), "the audit takes the actions that the dry run reported")
}

func (b *bundle) text(query string) (text string) {
	b.t.Helper()
	// Inner does not run this statement, so CockroachDB's parser need not accept it.
	require.NoError(b.t, b.QueryRowContext(b.t.Context(), query).Scan(&text))
	return text
}

func TestTwoInventoriesOfOneKindAreRefused(t *testing.T) {
	t.Parallel()
	b := setup(t)
	_, err := auditor.New(auditor.Params{Config: b.Config, Inventories: []inventory.Inventory{b.inventory, b.inventory}})
	require.ErrorContains(t, err, `two inventories are of kind "worker"`)
}

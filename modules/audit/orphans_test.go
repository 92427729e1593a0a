package audit_test

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"app238.com/inner/app/config"
	"app238.com/inner/modules/audit/admin"
	"app238.com/inner/modules/audit/internal/examine"
	"app238.com/inner/modules/audit/inventory"
)

func TestAnOrphanIsDeletedOnceTwoAuditsAGraceApartHaveSeenIt(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.worker("kept", "active")
	b.thing("kept", "orphan")
	_, f := b.audit()
	require.Equal(t, map[string]admin.Action{"orphan": admin.Wait}, f.actions())
	_, f = b.audit()
	require.Equal(t, admin.Wait, f.actions()["orphan"], "two audits, no grace")
	require.Contains(t, f.why("orphan"), "audit.grace is 24h")
	require.Empty(t, b.world.deleted)
	b.pass(day)
	a, f := b.audit()
	require.Equal(t, admin.Delete, f.actions()["orphan"])
	require.EqualValues(t, 1, a.Kinds[0].Deleted)
	require.Equal(t, []string{"orphan"}, b.world.deleted)
	require.True(t, b.world.has("kept"))
}

func TestTheSameAuditRunAgainDoesNotCountAsASecondSighting(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.thing("orphan")
	b.audit()
	b.pass(day)
	b.again()
	require.Empty(t, b.world.deleted)
	b.audit()
	require.Equal(t, []string{"orphan"}, b.world.deleted)
}

func TestAnAuditThatFindsTheRowAgainBreaksTheSeries(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.thing("w")
	b.audit()
	b.pass(day)
	b.worker("w", "active")
	b.audit()
	b.exec(`DELETE FROM workers`)
	b.Config.Audit.MaxShrink, b.Config.Audit.ShrinkWindow = 1, 100*day
	b.worker("other", "unloaded") // a kind without any rows is refused
	b.pass(day)
	_, f := b.audit()
	require.Equal(t, admin.Wait, f.actions()["w"], "the first sighting of a new series")
	require.True(t, b.world.has("w"))
}

func TestASightingThatIsNotRenewedIsForgotten(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.thing("orphan")
	b.audit()
	b.pass(b.Config.Audit.ShrinkWindow + time.Hour)
	b.audit()
	require.Empty(t, b.world.deleted)
}

func TestNothingIsDeletedWhenTheListWasCutOff(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.worker("missing", "active")
	b.thing("a", "b", "c")
	b.audit()
	b.pass(day)
	other := &world{db: b.DB, kind: "other", things: map[string]inventory.Object{}}
	other.put(object("orphan", "u1"))
	other.put(object("missing", "u1"))
	b.task++
	for cause, breakOff := range map[string]func(){
		"the list was cut off":                  func() { b.world.cutAfter = 2 },
		"more than 2 things":                    func() { b.Config.Audit.MaxObjects = 2 },
		"more than 2 things (audit.maxObjects)": func() { b.Config.Audit.MaxObjects, b.world.deaf = 2, true },
	} {
		b.world.cutAfter, b.world.deaf, b.world.repaired, b.Config.Audit.MaxObjects = 0, false, nil, 1000
		breakOff()
		f := &found{}
		a, err := b.examiner(other).Run(t.Context(), b.task, f)
		require.ErrorContains(t, err, cause)
		require.NotEmpty(t, a.Kinds[1].Fault, cause)
		require.Empty(t, b.world.deleted, cause)
		require.Empty(t, b.world.repaired, cause)
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

func TestAThingWithAnUnfinishedTaskIsLeftAlone(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.thing("a", "b")
	b.audit()
	b.pass(day)
	b.underWay = []string{key("a", "u1")}
	a, f := b.audit()
	require.Equal(t, map[string]admin.Action{"b": admin.Delete}, f.actions())
	require.EqualValues(t, 1, a.Kinds[0].Orphans)
	require.True(t, b.world.has("a"))
}

func TestAThingThatARowWishesByNowIsKept(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.thing("w")
	b.audit()
	b.pass(day)
	b.world.deleting = func(string) error { b.worker("w", "loading"); return nil }
	a, f := b.audit()
	require.Equal(t, admin.Tell, f.actions()["w"])
	require.Zero(t, a.Kinds[0].Deleted)
	require.True(t, b.world.has("w"))
}

func TestADeletionThatFailsIsToldAndTriedByTheNextAttempt(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.thing("a", "b", "kept", "kept too") // so that the share leaves room for another attempt
	b.worker("kept", "active")
	b.worker("kept too", "active")
	b.audit()
	b.pass(day)
	b.task++
	b.world.deleting = func(n string) error {
		if n == name("a", "u1") {
			return errors.New("refused")
		}
		return nil
	}
	f := &found{}
	_, err := b.examiner().Run(t.Context(), b.task, f)
	require.ErrorContains(t, err, "1 deletions failed")
	require.Equal(t, map[string]admin.Action{"a": admin.Fail, "b": admin.Delete}, f.actions())
	b.world.deleting = nil
	b.again()
	require.ElementsMatch(t, []string{"a", "b"}, b.world.deleted)
}

func TestInModeReportOrphansAreToldOnlyAndRowsPutRight(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.Config.Audit.Mode = config.AuditReports
	b.worker("missing", "active")
	b.thing("orphan")
	b.audit()
	b.pass(day)
	_, f := b.audit()
	require.Equal(t, map[string]admin.Action{"orphan": admin.Tell}, f.actions())
	require.Contains(t, f.why("orphan"), "audit.mode is report")
	require.Empty(t, b.world.deleted)
	require.Equal(t, []string{"missing"}, b.world.repaired)
}

func TestADryRunTellsTheSameAndChangesNothing(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.worker("missing", "active")
	b.thing("due", "also due")
	b.audit()
	b.pass(day)
	b.exec(`INSERT INTO workers (wid, user_uid, worker_name, status, created_at) VALUES ('missing too', 'u1', '', 'active', LOCALTIMESTAMP - INTERVAL '1 day')`)
	b.thing("new")
	b.Config.Audit.MaxDeletions = 1
	b.world.repaired = nil
	state := `SELECT md5(string_agg(x, '|' ORDER BY x)) FROM (
		SELECT CAST(a AS TEXT) AS x FROM inner_audits a UNION ALL SELECT CAST(c AS TEXT) FROM inner_audit_counts c
		UNION ALL SELECT CAST(s AS TEXT) FROM inner_audit_sightings s) AS rows`
	before := b.text(state)
	f := &found{}
	a, err := b.examiner().DryRun(t.Context(), f)
	require.NoError(t, err)
	require.Equal(t, map[string]admin.Action{
		"missing too": admin.Repair, "also due": admin.Delete, "due": admin.Wait, "new": admin.Wait,
	}, f.actions())
	require.Contains(t, f.why("due"), "audit.maxDeletions")
	require.Equal(t, []int64{1, 1, 3}, []int64{a.Kinds[0].Repaired, a.Kinds[0].Deleted, a.Kinds[0].Orphans})
	require.Empty(t, b.world.deleted)
	require.Empty(t, b.world.repaired)
	require.Equal(t, before, b.text(state))

	_, acted := b.audit()
	require.Equal(t, f.actions(), acted.actions(), "an audit does what the dry run told")
}

func (b *bundle) text(query string) (text string) {
	b.t.Helper()
	// Not a statement of Inner's, so not for CockroachDB's parser.
	require.NoError(b.t, b.QueryRowContext(b.t.Context(), query).Scan(&text))
	return text
}

func TestTwoInventoriesOfAKindAreRefused(t *testing.T) {
	t.Parallel()
	b := setup(t)
	_, err := examine.New(b.Config, nil, nil, nil, nil, []inventory.Inventory{b.world, b.world})
	require.ErrorContains(t, err, `two inventories are of kind "worker"`)
}

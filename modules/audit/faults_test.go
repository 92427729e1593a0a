package audit_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"app238.com/inner/modules/audit/admin"
	"app238.com/inner/modules/audit/inventory"
)

func TestWhatIsMissingIsPutRight(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.worker("there", "active")
	b.thing("there")
	b.worker("missing", "active")
	b.worker("half there", "active")
	half := object("half there", "u1")
	half.Parts = []string{"service"}
	b.world.put(half)
	b.worker("unloaded", "unloaded")
	b.worker("failed", "error")
	a, f := b.audit()
	require.ElementsMatch(t, []string{"missing", "half there"}, b.world.repaired)
	require.Equal(t, map[string]admin.Action{"missing": admin.Repair, "half there": admin.Repair}, f.actions())
	require.Contains(t, f.why("missing"), "app")
	require.Equal(t, []admin.Kind{{Kind: "worker", Things: 2, Rows: 5, Missing: 2, Repaired: 2}}, a.Kinds)
	a, f = b.audit()
	require.Empty(t, f.findings)
	require.Zero(t, a.Kinds[0].Missing)
}

func TestPartsThatAreListedApartAddUp(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.worker("w", "active")
	two := &parts{world: b.world, pages: [][]inventory.Object{
		{{Name: name("w", "u1"), Parts: []string{"service"}}}, {{Name: name("w", "u1"), Parts: []string{"app"}}},
	}}
	f := &found{}
	_, err := b.only(two).Run(t.Context(), 1, f)
	require.NoError(t, err)
	require.Empty(t, f.findings)
}

// parts is a world that lists fixed pages.
type parts struct {
	*world
	pages [][]inventory.Object
}

func TestRowsThatAreStuckInLoadingArePutRight(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.worker("stuck", "loading")
	b.worker("under way", "loading")
	b.underWay = []string{key("under way", "u1")}
	b.exec(`INSERT INTO workers (wid, user_uid, worker_name, status) VALUES ('young', 'u1', '', 'loading')`)
	a, f := b.audit()
	require.Equal(t, map[string]admin.Action{"stuck": admin.Repair}, f.actions())
	require.Equal(t, admin.Stuck, f.findings[0].Problem)
	require.Equal(t, []string{"stuck"}, b.world.repaired)
	require.EqualValues(t, 1, a.Kinds[0].Stuck)
}

func TestRowsOfUsersThatDoNotExistAreToldAndLeft(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.exec(`INSERT INTO workers (wid, user_uid, worker_name, status, created_at) VALUES
		('missing', 'nobody', '', 'active', LOCALTIMESTAMP - INTERVAL '1 day'),
		('there', 'nobody', '', 'active', LOCALTIMESTAMP - INTERVAL '1 day')`)
	b.world.put(object("there", "nobody"))
	a, f := b.audit()
	require.Equal(t, map[string]admin.Action{"missing": admin.Tell, "there": admin.Tell}, f.actions())
	require.EqualValues(t, 2, a.Kinds[0].Ownerless)
	require.Empty(t, b.world.repaired)
	b.pass(day)
	b.audit()
	require.Empty(t, b.world.deleted, "a row that is there justifies its thing")
}

func TestRepairsKeepToTheirLimit(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.Config.Audit.MaxRepairs = 3
	for i := range 5 {
		b.worker(fmt.Sprint("w", i), "active")
	}
	a, f := b.audit()
	require.Len(t, b.world.repaired, 3)
	require.Equal(t, []int64{5, 3}, []int64{a.Kinds[0].Missing, a.Kinds[0].Repaired})
	require.Contains(t, f.why("w4"), "audit.maxRepairs")
	b.audit()
	require.Len(t, b.world.repaired, 5)
}

func TestRowsOutOfOrderAreAnError(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.worker("w", "active")
	b.thing("w", "orphan")
	b.audit()
	b.pass(day)
	a, err := b.only(&backwards{b.world}).Run(t.Context(), 7, &found{})
	require.ErrorContains(t, err, "came after")
	require.NotEmpty(t, a.Kinds[0].Fault)
	require.Empty(t, b.world.deleted)
}

// backwards is a world that returns the same page of rows again and again.
type backwards struct{ *world }

func TestEachUserIsCountedWithWhatIsItsOwn(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.Config.Audit.PageSize = 2
	b.exec(`DELETE FROM users`)
	b.users(5)
	b.worker("a", "unloaded")
	b.worker("b", "unloaded")
	b.exec(`INSERT INTO combinator_resources (user_uid, resource_type, resource_id) VALUES ('u1', 'kv', 'r1'), ('u3', 'rdb', 'r2')`)
	b.exec(`INSERT INTO custom_domains (cdid, user_uid, domain, target, txt_name, txt_value) VALUES ('c', 'u5', 'd', 't', 'n', 'v')`)
	a, f := b.audit()
	require.EqualValues(t, 5, a.Users)
	require.Equal(t, []admin.User{
		{UID: "u1", Workers: 2, Resources: 1}, {UID: "u2"}, {UID: "u3", Resources: 1}, {UID: "u4"}, {UID: "u5", Domains: 1},
	}, f.users)
	last, err := b.examiner().Last(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, 5, last.Users)
	require.Equal(t, b.task, last.Task)
	require.NotNil(t, last.FinishedAt)
	require.Equal(t, a.Kinds, last.Kinds)
}

func TestBeforeTheFirstAuditThereIsNone(t *testing.T) {
	t.Parallel()
	_, err := setup(t).examiner().Last(t.Context())
	require.ErrorIs(t, err, admin.ErrNone)
}

package audit_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"app238.com/inner/modules/audit/admin"
	"app238.com/inner/modules/audit/inventory"
)

func TestMissingObjectsAreRepaired(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.addWorker("there", "active")
	b.addObjects("there")
	b.addWorker("missing", "active")
	b.addWorker("half there", "active")
	half := object("half there", "u1")
	half.Parts = []string{"service"}
	b.inventory.add(half)
	b.addWorker("unloaded", "unloaded")
	b.addWorker("failed", "error")
	a, f := b.audit()
	require.ElementsMatch(t, []string{"missing", "half there"}, b.inventory.repaired)
	require.Equal(t, map[string]admin.Action{"missing": admin.Repair, "half there": admin.Repair}, f.actions())
	require.Contains(t, f.reason("missing"), "app")
	require.Equal(t, []admin.Kind{{Kind: "worker", Objects: 2, Rows: 5, Missing: 2, Repaired: 2}}, a.Kinds)
	a, f = b.audit()
	require.Empty(t, f.findings)
	require.Zero(t, a.Kinds[0].Missing)
}

func TestPartsOfSeveralPagesAddUp(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.addWorker("w", "active")
	two := &pagedInventory{fakeInventory: b.inventory, pages: [][]inventory.Object{
		{{Name: name("w", "u1"), Parts: []string{"service"}}}, {{Name: name("w", "u1"), Parts: []string{"app"}}},
	}}
	f := &recorder{}
	_, err := b.auditorOf(two).Run(t.Context(), 1, f)
	require.NoError(t, err)
	require.Empty(t, f.findings)
}

// pagedInventory lists fixed pages of objects.
type pagedInventory struct {
	*fakeInventory
	pages [][]inventory.Object
}

func TestStuckRowsAreRepaired(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.addWorker("stuck", "loading")
	b.addWorker("under way", "loading")
	b.active = []string{key("under way", "u1")}
	b.exec(`INSERT INTO workers (wid, user_uid, worker_name, status) VALUES ('young', 'u1', '', 'loading')`)
	a, f := b.audit()
	require.Equal(t, map[string]admin.Action{"stuck": admin.Repair}, f.actions())
	require.Equal(t, admin.Stuck, f.findings[0].Problem)
	require.Equal(t, []string{"stuck"}, b.inventory.repaired)
	require.EqualValues(t, 1, a.Kinds[0].Stuck)
}

func TestOwnerlessRowsAreReportedOnly(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.exec(`INSERT INTO workers (wid, user_uid, worker_name, status, created_at) VALUES
		('missing', 'nobody', '', 'active', LOCALTIMESTAMP - INTERVAL '1 day'),
		('there', 'nobody', '', 'active', LOCALTIMESTAMP - INTERVAL '1 day')`)
	b.inventory.add(object("there", "nobody"))
	a, f := b.audit()
	require.Equal(t, map[string]admin.Action{"missing": admin.Report, "there": admin.Report}, f.actions())
	require.EqualValues(t, 2, a.Kinds[0].Ownerless)
	require.Empty(t, b.inventory.repaired)
	b.elapse(day)
	b.audit()
	require.Empty(t, b.inventory.deleted, "an ownerless row still justifies its object")
}

func TestRepairsAreLimited(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.Config.Audit.MaxRepairs = 3
	for i := range 5 {
		b.addWorker(fmt.Sprint("w", i), "active")
	}
	a, f := b.audit()
	require.Len(t, b.inventory.repaired, 3)
	require.Equal(t, []int64{5, 3}, []int64{a.Kinds[0].Missing, a.Kinds[0].Repaired})
	require.Contains(t, f.reason("w4"), "audit.maxRepairs")
	b.audit()
	require.Len(t, b.inventory.repaired, 5)
}

func TestUnorderedRowsAreAnError(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.addWorker("w", "active")
	b.addObjects("w", "orphan")
	b.audit()
	b.elapse(day)
	a, err := b.auditorOf(&repeatingInventory{b.inventory}).Run(t.Context(), 7, &recorder{})
	require.ErrorContains(t, err, "came after")
	require.NotEmpty(t, a.Kinds[0].Error)
	require.Empty(t, b.inventory.deleted)
}

// repeatingInventory returns the same page of rows again and again.
type repeatingInventory struct{ *fakeInventory }

func TestRowsAreCountedByUser(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.Config.Audit.PageSize = 2
	b.exec(`DELETE FROM users`)
	b.addUsers(5)
	b.addWorker("a", "unloaded")
	b.addWorker("b", "unloaded")
	b.exec(`INSERT INTO combinator_resources (user_uid, resource_type, resource_id) VALUES ('u1', 'kv', 'r1'), ('u3', 'rdb', 'r2')`)
	b.exec(`INSERT INTO custom_domains (cdid, user_uid, domain, target, txt_name, txt_value) VALUES ('c', 'u5', 'd', 't', 'n', 'v')`)
	a, f := b.audit()
	require.EqualValues(t, 5, a.Users)
	require.Equal(t, []admin.User{
		{UID: "u1", Workers: 2, Resources: 1}, {UID: "u2"}, {UID: "u3", Resources: 1}, {UID: "u4"}, {UID: "u5", Domains: 1},
	}, f.users)
	last, err := b.auditor().Last(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, 5, last.Users)
	require.Equal(t, b.task, last.Task)
	require.NotNil(t, last.FinishedAt)
	require.Equal(t, a.Kinds, last.Kinds)
}

func TestLastWithoutAuditIsErrNone(t *testing.T) {
	t.Parallel()
	_, err := setup(t).auditor().Last(t.Context())
	require.ErrorIs(t, err, admin.ErrNone)
}

package audit_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"app238.com/inner/modules/audit/inventory"
)

func TestUndeletableOrphansLeaveOtherUsersAShare(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.Config.Audit.MaxDeletions = 8
	first := &fakeInventory{db: b.DB, kind: "before worker", objects: map[string]inventory.Object{}}
	restore := func() { // what the enqueued tasks could not delete
		for i := range 20 {
			b.addObjects(fmt.Sprint("undeletable", i))
			first.add(object(fmt.Sprint("undeletable", i), "u1"))
		}
	}
	audit := func() {
		b.task++
		b.inventory.deleted, first.deleted = nil, nil
		_, err := b.auditor(first).Run(t.Context(), b.task, &recorder{})
		require.NoError(t, err)
		require.LessOrEqual(t, len(b.inventory.deleted)+len(first.deleted), 8)
	}
	restore()
	audit()
	b.inventory.add(object("honest", "u2"))
	b.elapse(day)
	audit()
	require.NotContains(t, b.inventory.deleted, "honest", "its first observation")
	restore()
	b.elapse(day)
	audit()
	require.Contains(t, b.inventory.deleted, "honest", "though the others were observed earlier, and in another kind too")
	require.Greater(t, len(slices.Concat(b.inventory.deleted, first.deleted)), 6, "the limit is used")
}

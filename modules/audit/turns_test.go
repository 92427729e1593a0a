package audit_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"app238.com/inner/modules/audit/inventory"
)

func TestOrphansThatStayLeaveOthersTheirTurn(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.Config.Audit.MaxDeletions = 8
	first := &world{db: b.DB, kind: "before worker", things: map[string]inventory.Object{}}
	stay := func() { // what the tasks that were queued could not delete
		for i := range 20 {
			b.thing(fmt.Sprint("stays", i))
			first.put(object(fmt.Sprint("stays", i), "u1"))
		}
	}
	audit := func() {
		b.task++
		b.world.deleted, first.deleted = nil, nil
		_, err := b.examiner(first).Act(t.Context(), b.task, &found{})
		require.NoError(t, err)
		require.LessOrEqual(t, len(b.world.deleted)+len(first.deleted), 8)
	}
	stay()
	audit()
	b.world.put(object("honest", "u2"))
	b.pass(day)
	audit()
	require.NotContains(t, b.world.deleted, "honest", "it is seen for the first time")
	stay()
	b.pass(day)
	audit()
	require.Contains(t, b.world.deleted, "honest", "though the others were seen earlier, and in another kind too")
	require.Greater(t, len(slices.Concat(b.world.deleted, first.deleted)), 6, "the limit is used")
}

package inventory_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"app238.com/inner/modules/audit/inventory"
)

// setup returns a memory of two rows of which the first has its thing, and of one thing without a row.
func setup() *memory {
	wish := func(row int64, name string) inventory.Wish {
		return inventory.Wish{Row: row, Name: name, Owner: "u", ID: name, Key: "thing/" + name, Needs: []string{"thing"}}
	}
	thing := func(name string) inventory.Object {
		return inventory.Object{Name: name, Owner: "u", ID: name, Key: "thing/" + name, Parts: []string{"thing"}}
	}
	return &memory{
		things: map[string]inventory.Object{"a": thing("a"), "orphan": thing("orphan")},
		rows:   map[int64]inventory.Wish{3: wish(3, "a"), 9: wish(9, "b")},
	}
}

func TestAnInventoryListsRowsInKeysetPagesAndKeepsWhatIsWished(t *testing.T) {
	t.Parallel()
	m := setup()
	page, err := m.Rows(t.Context(), 0, 1)
	require.NoError(t, err)
	require.Equal(t, "a", page[0].Name)
	page, err = m.Rows(t.Context(), page[0].Row, 1)
	require.NoError(t, err)
	require.Equal(t, "b", page[0].Name)
	require.NoError(t, m.Repair(t.Context(), page[0], inventory.Fault{Missing: page[0].Needs}))
	require.Contains(t, m.things, "b")

	require.ErrorIs(t, m.Delete(t.Context(), m.things["a"]), inventory.ErrWished)
	require.NoError(t, m.Delete(t.Context(), m.things["orphan"]))
	require.NotContains(t, m.things, "orphan")
	m.cut = 1
	require.Error(t, m.World(t.Context(), func([]inventory.Object) error { return nil }), "a list that broke off is an error")
}

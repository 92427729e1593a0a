package inventory_test

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/fx"

	"app238.com/inner/modules/audit/inventory"
)

// memory is the smallest inventory: rows and things are maps, and its module's own job is a call.
type memory struct {
	things map[string]inventory.Object
	rows   map[int64]inventory.Wish
	// cut is after how many things the list breaks off; 0: it does not.
	cut int
}

// Kind implements inventory.Inventory.
func (m *memory) Kind() string { return "thing" }

// World implements inventory.Inventory, with pages of one thing each.
func (m *memory) World(_ context.Context, page func([]inventory.Object) error) error {
	listed := 0
	for _, thing := range m.things {
		if m.cut > 0 && listed == m.cut {
			return fmt.Errorf("the list broke off after %d of %d", listed, len(m.things))
		}
		if err := page([]inventory.Object{thing}); err != nil {
			return err
		}
		listed++
	}
	return nil
}

// Rows implements inventory.Inventory: ids above after, in ascending order.
func (m *memory) Rows(_ context.Context, after int64, limit int) ([]inventory.Wish, error) {
	var page []inventory.Wish
	for id, wish := range m.rows {
		if id > after {
			page = append(page, wish)
		}
	}
	slices.SortFunc(page, func(a, b inventory.Wish) int { return int(a.Row - b.Row) })
	return page[:min(limit, len(page))], nil
}

// Repair implements inventory.Inventory: the row is read again, and may be gone.
func (m *memory) Repair(_ context.Context, wish inventory.Wish, _ inventory.Fault) error {
	if now, there := m.rows[wish.Row]; there {
		m.things[now.Name] = inventory.Object{Name: now.Name, Owner: now.Owner, ID: now.ID, Parts: now.Needs}
	}
	return nil
}

// Delete implements inventory.Inventory: rows are looked for once more.
func (m *memory) Delete(_ context.Context, object inventory.Object) error {
	for _, wish := range m.rows {
		if wish.Name == object.Name {
			return inventory.ErrWished
		}
	}
	delete(m.things, object.Name)
	return nil
}

func TestAModuleContributesInventories(t *testing.T) {
	t.Parallel()
	var kinds []string
	program := fx.New(fx.NopLogger,
		fx.Provide(inventory.AsInventories(func() []inventory.Inventory { return []inventory.Inventory{&memory{}} })),
		// A module whose engine is not configured.
		fx.Provide(inventory.AsInventories(func() []inventory.Inventory { return nil })),
		fx.Invoke(fx.Annotate(func(all []inventory.Inventory) {
			for _, i := range all {
				kinds = append(kinds, i.Kind())
			}
		}, fx.ParamTags(`group:"inventories"`))),
	)
	require.NoError(t, program.Err())
	require.Equal(t, []string{"thing"}, kinds)
}

package inventory_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/fx"

	"app238.com/inner/modules/audit/inventory"
)

// named is an inventory that has only a kind.
type named struct {
	inventory.Inventory
	kind string
}

// Kind implements inventory.Inventory.
func (n named) Kind() string { return n.kind }

func TestModulesContributeAnyNumberOfInventories(t *testing.T) {
	t.Parallel()
	contribute := func(kinds ...string) fx.Option {
		return fx.Provide(inventory.AsInventories(func() (all []inventory.Inventory) {
			for _, kind := range kinds {
				all = append(all, named{kind: kind})
			}
			return all
		}))
	}
	var kinds []string
	program := fx.New(fx.NopLogger, contribute("rdb", "kv"), contribute(), contribute("worker"),
		fx.Invoke(fx.Annotate(func(all []inventory.Inventory) {
			for _, i := range all {
				kinds = append(kinds, i.Kind())
			}
		}, fx.ParamTags(`group:"inventories"`))),
	)
	require.NoError(t, program.Err())
	require.ElementsMatch(t, []string{"rdb", "kv", "worker"}, kinds)
}

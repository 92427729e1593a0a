package inventory_test

import (
	"context"
	"fmt"

	"go.uber.org/fx"

	"app238.com/inner/modules/audit/inventory"
)

// buckets is an inventory of buckets. Its rows and objects are in memory.
type buckets struct {
	rows   []string
	actual map[string]bool
}

// Kind implements inventory.Inventory.
func (*buckets) Kind() string { return "bucket" }

// ListActual implements inventory.Inventory.
func (b *buckets) ListActual(_ context.Context, page func([]inventory.Object) error) error {
	for id := range b.actual {
		if err := page([]inventory.Object{{Name: id, ID: id, Key: "bucket/" + id, Parts: []string{"bucket"}}}); err != nil {
			return err
		}
	}
	return nil
}

// ListDesired implements inventory.Inventory.
func (b *buckets) ListDesired(_ context.Context, after int64, limit int) (page []inventory.Desired, _ error) {
	for row := after; row < int64(len(b.rows)) && len(page) < limit; row++ {
		id := b.rows[row]
		page = append(page, inventory.Desired{Row: row + 1, Name: id, ID: id, Key: "bucket/" + id, Needs: []string{"bucket"}})
	}
	return page, nil
}

// Repair implements inventory.Inventory. A real one enqueues a job of its module.
func (b *buckets) Repair(_ context.Context, desired inventory.Desired, _ inventory.Drift) error {
	b.actual[desired.ID] = true
	return nil
}

// Delete implements inventory.Inventory. A real one checks in a transaction that there is no row, and enqueues a job.
func (b *buckets) Delete(_ context.Context, object inventory.Object) error {
	delete(b.actual, object.ID)
	return nil
}

// A module contributes the inventories of its kinds to the fx group that the audit consumes.
func ExampleAsInventories() {
	fx.New(fx.NopLogger,
		fx.Provide(inventory.AsInventories(func() []inventory.Inventory {
			return []inventory.Inventory{&buckets{rows: []string{"a", "b"}, actual: map[string]bool{"b": true, "c": true}}}
		})),
		fx.Invoke(fx.Annotate(func(all []inventory.Inventory) {
			for _, i := range all {
				desired, err := i.ListDesired(context.Background(), 0, 10)
				fmt.Println(i.Kind(), len(desired), err)
			}
		}, fx.ParamTags(`group:"inventories"`))),
	)
	// Output: bucket 2 <nil>
}

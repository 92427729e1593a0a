package examine

import (
	"context"
	"errors"
	"fmt"

	"go.uber.org/zap"

	"app238.com/inner/app/database"
	"app238.com/inner/app/logging"
	"app238.com/inner/modules/audit/admin"
	"app238.com/inner/modules/audit/internal/things"
	"app238.com/inner/modules/audit/inventory"
)

// kind audits one kind. The world is listed to its end before the first row is read: a thing can only have been made for
// a row that was there before it, so what no row wishes then is an orphan, and never something that came meanwhile.
func (r *run) kind(ctx context.Context, i inventory.Inventory, k *admin.Kind) error {
	world := things.New(r.config.MaxObjects)
	if err := i.ListActual(ctx, world.Add); err != nil {
		return fmt.Errorf("list the world: %w", err)
	}
	// Whoever lists may have overlooked that a page was refused, or that the time was up.
	if err := errors.Join(world.Err(), ctx.Err()); err != nil {
		return fmt.Errorf("list the world: %w", err)
	}
	k.Things = int64(world.Len())
	if err := r.rows(ctx, i, i.ListDesired, world.Claim, k); err != nil {
		return err
	}
	var err error
	if k.Refusal, err = r.refusal(ctx, k.Kind, k.Rows); err != nil {
		return err
	}
	if err := r.record(ctx, k); err != nil {
		return err
	}
	failed := r.orphans(ctx, i, world, k)
	return errors.Join(failed, r.record(ctx, k))
}

// record writes what was counted, unless this is a dry run.
func (r *run) record(ctx context.Context, k *admin.Kind) error {
	if !r.acting() {
		return nil
	}
	return r.store.Record(ctx, r.task, *k)
}

// pages reads rows in keyset pages.
type pages func(ctx context.Context, after int64, limit int) ([]inventory.Desired, error)

// rows reads all rows and repairs those at fault. Claim notes the object of a row as desired, and returns what is missing of it.
func (r *run) rows(ctx context.Context, i inventory.Inventory, read pages, claim func(inventory.Desired) []string, k *admin.Kind) error {
	failed := 0
	for after := int64(0); ; {
		page, err := r.pageOfRows(ctx, read, after)
		if err != nil {
			return fmt.Errorf("list the rows: %w", err)
		}
		if len(page) == 0 {
			break
		}
		faults := make([]fault, 0, len(page))
		for _, wish := range page {
			if wish.Row <= after {
				return fmt.Errorf("list the rows: %d came after %d", wish.Row, after)
			}
			after = wish.Row
			k.Rows++
			faults = append(faults, fault{wish, inventory.Drift{Missing: claim(wish), Stuck: wish.Loading}})
		}
		n, err := r.repair(ctx, i, faults, k)
		if failed += n; err != nil {
			return err
		}
	}
	if failed > 0 {
		return fmt.Errorf("%d repairs failed", failed)
	}
	return nil
}

func (r *run) pageOfRows(ctx context.Context, read pages, after int64) ([]inventory.Desired, error) {
	ctx, cancel := context.WithTimeout(ctx, r.config.CallTimeout)
	defer cancel()
	return read(ctx, after, r.config.PageSize)
}

// attempt calls one repair or deletion. It logs what failed, and returns an error where further ones would fail as well.
func (r *run) attempt(ctx context.Context, what string, f admin.Finding, call func(ctx context.Context) error) (failed bool, err error) {
	limited, cancel := context.WithTimeout(ctx, r.config.CallTimeout)
	defer cancel()
	err = call(limited)
	if err == nil {
		return false, nil
	}
	r.log.Warn("audit could not have a thing changed", zap.String("change", what), zap.String("kind", f.Kind),
		zap.String("name", f.Name), logging.Error(err))
	if ctx.Err() != nil || database.IsUnavailable(err) {
		return true, fmt.Errorf("%s: %w", what, err)
	}
	return true, nil
}

package auditor

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"go.uber.org/zap"

	"app238.com/inner/app/database"
	"app238.com/inner/app/logging"
	"app238.com/inner/modules/audit/admin"
	"app238.com/inner/modules/audit/inventory"
)

// auditKind audits one kind. All objects are listed before the first row is read: an object is only made for a row that
// exists already, so an object without a row is an orphan, and never one that was made in between.
func (r *run) auditKind(ctx context.Context, i inventory.Inventory, k *admin.Kind) error {
	actual := newObjectSet(r.config.MaxObjects)
	if err := i.ListActual(ctx, actual.add); err != nil {
		return fmt.Errorf("list the objects: %w", err)
	}
	// An inventory may have ignored that a page was refused, or that the deadline was exceeded.
	if err := errors.Join(actual.err, ctx.Err()); err != nil {
		return fmt.Errorf("list the objects: %w", err)
	}
	k.Objects = int64(actual.len())
	if err := r.repairRows(ctx, i, i.ListDesired, actual.reference, k); err != nil {
		return err
	}
	var err error
	if k.Refusal, err = r.refusal(ctx, k.Kind, k.Rows); err != nil {
		return err
	}
	if err := r.record(ctx, k); err != nil {
		return err
	}
	failed := r.deleteOrphans(ctx, i, actual, k)
	return errors.Join(failed, r.record(ctx, k))
}

// record records the counts of a kind, except in a dry run.
func (r *run) record(ctx context.Context, k *admin.Kind) error {
	if r.dryRun() {
		return nil
	}
	return r.store.Record(ctx, r.task, *k)
}

// pageFunc reads rows in keyset pages.
type pageFunc func(ctx context.Context, after int64, limit int) ([]inventory.Desired, error)

// repairRows reads all rows and has those with a drift repaired. Reference marks the object of a row as desired and returns
// its missing parts.
func (r *run) repairRows(
	ctx context.Context, i inventory.Inventory, read pageFunc, reference func(inventory.Desired) []string, k *admin.Kind,
) error {
	failed := 0
	for after := int64(0); ; {
		page, err := r.readPage(ctx, read, after)
		if err != nil {
			return fmt.Errorf("list the rows: %w", err)
		}
		if len(page) == 0 {
			break
		}
		rows := make([]row, 0, len(page))
		for _, desired := range page {
			if desired.Row <= after {
				return fmt.Errorf("list the rows: %d came after %d", desired.Row, after)
			}
			after = desired.Row
			k.Rows++
			rows = append(rows, row{desired, inventory.Drift{Missing: reference(desired), Stuck: desired.Loading}})
		}
		n, err := r.repairPage(ctx, i, rows, k)
		if failed += n; err != nil {
			return err
		}
	}
	if failed > 0 {
		return fmt.Errorf("%d repairs failed", failed)
	}
	return nil
}

func (r *run) readPage(ctx context.Context, read pageFunc, after int64) ([]inventory.Desired, error) {
	ctx, cancel := context.WithTimeout(ctx, r.config.CallTimeout)
	defer cancel()
	return read(ctx, after, r.config.PageSize)
}

// execute calls one repair or deletion and logs its failure. It returns an error when further calls would fail as well.
func (r *run) execute(
	ctx context.Context, action string, f admin.Finding, call func(ctx context.Context) error,
) (failed bool, err error) {
	limited, cancel := context.WithTimeout(ctx, r.config.CallTimeout)
	defer cancel()
	err = call(limited)
	if err == nil {
		return false, nil
	}
	r.log.Warn("audit action failed", zap.String("action", action), zap.String("kind", f.Kind),
		zap.String("name", f.Name), logging.Error(err))
	if ctx.Err() != nil || database.IsUnavailable(err) {
		return true, fmt.Errorf("%s: %w", action, err)
	}
	return true, nil
}

// activeKeys returns those of the ordering keys that have an unfinished task. It asks for one page of keys at a time.
func (r *run) activeKeys(ctx context.Context, keys map[string]bool) (map[string]bool, error) {
	found := map[string]bool{}
	for part := range slices.Chunk(slices.Collect(maps.Keys(keys)), r.config.PageSize) {
		active, err := r.tasks.ActiveKeys(ctx, part)
		if err != nil {
			return nil, err
		}
		for _, key := range active {
			found[key] = true
		}
	}
	return found, nil
}

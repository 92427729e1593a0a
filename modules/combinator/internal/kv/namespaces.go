package kv

import (
	"context"
	"errors"
	"fmt"

	"app238.com/inner/modules/combinator/internal/engine"
)

// Name implements engine.KV.
func (e *Engine) Name(r engine.Resource) string { return e.prefix.Name(r.UserUID, r.ResourceID) }

// isOtherPlatforms reports whether another platform made a namespace.
func (e *Engine) isOtherPlatforms(r record) bool { return r.Platform != "" && r.Platform != e.platform }

// Create implements engine.KV.
func (e *Engine) Create(ctx context.Context, r engine.Resource, prefix string) error {
	return e.update(ctx, func(ctx context.Context, tx transaction) error {
		found, err := read(ctx, tx, prefix)
		switch {
		case err != nil:
			return err
		case found == nil:
			return write(tx, record{UserUID: r.UserUID, ResourceID: r.ResourceID, Prefix: prefix, Platform: e.platform, State: active,
				CreatedAt: tx.now().UTC()})
		case e.isOtherPlatforms(*found):
			return &engine.OtherPlatformError{Object: "the prefix " + prefix}
		case found.resource() != r:
			return fmt.Errorf("%w: the prefix belongs to another resource", engine.ErrInvalid)
		case found.State == deleted:
			return fmt.Errorf("%w: an earlier namespace of this name is being deleted", engine.ErrBusy)
		case found.Platform == "":
			found.Platform = e.platform
			return write(tx, *found)
		}
		return nil
	})
}

// Delete implements engine.KV. The record is written first: whatever fails after it, the prefix is swept until no key
// remains.
func (e *Engine) Delete(ctx context.Context, r engine.Resource, prefix string) error {
	from, to := keyRange(prefix)
	err := e.markDeleted(ctx, r, prefix, false)
	if errors.Is(err, errNoRecord) {
		// It was swept already, or made by another program. For an empty prefix no record is written.
		remaining, failure := e.scan(ctx, from, to, 1)
		if failure != nil || len(remaining) == 0 {
			return failure
		}
		err = e.markDeleted(ctx, r, prefix, true)
	}
	if err != nil {
		return err
	}
	return e.clear(ctx, from, to)
}

var errNoRecord = errors.New("no record of the namespace")

// markDeleted marks a namespace as deleted. When there is no record, it creates one or returns errNoRecord.
func (e *Engine) markDeleted(ctx context.Context, r engine.Resource, prefix string, createMissing bool) error {
	return e.update(ctx, func(ctx context.Context, tx transaction) error {
		found, err := read(ctx, tx, prefix)
		now := tx.now().UTC()
		switch {
		case err != nil:
			return err
		case found == nil && !createMissing:
			return errNoRecord
		case found == nil:
			found = &record{UserUID: r.UserUID, ResourceID: r.ResourceID, Prefix: prefix, CreatedAt: now}
		case e.isOtherPlatforms(*found):
			return &engine.OtherPlatformError{Object: "the prefix " + prefix}
		case found.resource() != r:
			return fmt.Errorf("%w: the prefix belongs to another resource", engine.ErrInvalid)
		case found.State == deleted:
			return nil
		}
		found.Platform, found.State, found.CleanSince = e.platform, deleted, &now
		return write(tx, *found)
	})
}

// Find implements engine.KV.
func (e *Engine) Find(ctx context.Context, r engine.Resource) (prefix string, err error) {
	otherName := false
	err = e.forEachRecord(ctx, func(found []record) error {
		for _, one := range found {
			switch {
			case one.State != active || one.resource() != r || e.isOtherPlatforms(one):
			case one.Platform == e.platform, prefix == "" && one.Prefix == e.Name(r):
				prefix = one.Prefix
			default:
				otherName = true
			}
		}
		return nil
	})
	if err == nil && prefix == "" && otherName {
		return "", fmt.Errorf("%w: a namespace", engine.ErrOtherName)
	}
	return prefix, err
}

// List implements engine.KV. A namespace of an earlier release under another prefix than this configuration gives is another
// platform's, as all platforms of the store share the records.
func (e *Engine) List(ctx context.Context, page func([]engine.Found) error) error {
	return e.forEachRecord(ctx, func(found []record) error {
		var alive []engine.Found
		for _, r := range found {
			if r.State == active && (r.Platform == e.platform || r.Platform == "" && r.Prefix == e.Name(r.resource())) {
				alive = append(alive, engine.Found{Resource: r.resource(), Unclaimed: r.Platform == ""})
			}
		}
		return page(alive)
	})
}

// Sweep implements engine.KV. A namespace that cannot be swept does not stop the others.
func (e *Engine) Sweep(ctx context.Context) (remaining int, err error) {
	var failure error
	err = e.forEachRecord(ctx, func(found []record) error {
		for _, r := range found {
			if r.State != deleted || e.isOtherPlatforms(r) {
				continue
			}
			done, err := e.sweepNamespace(ctx, r)
			if err != nil {
				failure = err
			}
			if !done {
				remaining++
			}
		}
		return ctx.Err()
	})
	if err == nil {
		err = failure
	}
	return remaining, err
}

// sweepNamespace deletes the keys under a deleted namespace's prefix. When it finds some, the waiting time starts again;
// when none were found for long enough, it deletes the record.
func (e *Engine) sweepNamespace(ctx context.Context, r record) (done bool, err error) {
	from, to := keyRange(r.Prefix)
	late, err := e.scan(ctx, from, to, 1)
	if err != nil {
		return false, err
	}
	if len(late) > 0 {
		if err := e.clear(ctx, from, to); err != nil {
			return false, err
		}
		return false, e.updateDeleted(ctx, r, func(tx transaction, found record) error {
			now := tx.now().UTC()
			found.CleanSince = &now
			return write(tx, found)
		})
	}
	due := make(chan bool, 1)
	err = e.updateDeleted(ctx, r, func(tx transaction, found record) error {
		select {
		case due <- found.CleanSince == nil || tx.now().Sub(*found.CleanSince) >= e.config.SweepAfter:
		default:
		}
		return nil
	})
	if err != nil {
		return false, err
	}
	select {
	case is := <-due:
		if !is {
			return false, nil
		}
	default:
		return true, nil // another process deleted the record
	}
	// A transaction may have locked keys and not committed: clearing the range makes its commit fail.
	if err := e.clear(ctx, from, to); err != nil {
		return false, err
	}
	err = e.updateDeleted(ctx, r, func(tx transaction, found record) error { return tx.remove(recordKey(found.Prefix)) })
	return err == nil, err
}

// updateDeleted runs work on the record of a namespace that is still deleted.
func (e *Engine) updateDeleted(ctx context.Context, r record, work func(tx transaction, found record) error) error {
	return e.update(ctx, func(ctx context.Context, tx transaction) error {
		found, err := read(ctx, tx, r.Prefix)
		if err != nil || found == nil || found.State != deleted {
			return err
		}
		return work(tx, *found)
	})
}

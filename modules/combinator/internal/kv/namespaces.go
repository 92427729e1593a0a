package kv

import (
	"context"
	"errors"
	"fmt"

	"app238.com/inner/modules/combinator/internal/engine"
)

// Name implements engine.KV.
func (e *Engine) Name(r engine.Resource) string { return e.prefix.Name(r.UserUID, r.ResourceID) }

// isForeign tells whether another platform has made a namespace.
func (e *Engine) isForeign(r record) bool { return r.Platform != "" && r.Platform != e.platform }

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
		case e.isForeign(*found):
			return &engine.Foreign{What: "the prefix " + prefix}
		case found.resource() != r:
			return fmt.Errorf("%w: the prefix is another resource's", engine.ErrUnusable)
		case found.State == deleted:
			return fmt.Errorf("%w: an earlier namespace of this name is being removed", engine.ErrBusy)
		case found.Platform == "":
			found.Platform = e.platform
			return write(tx, *found)
		}
		return nil
	})
}

// Delete implements engine.KV. The record comes first: whatever happens after it, the prefix is swept until nothing is
// left.
func (e *Engine) Delete(ctx context.Context, r engine.Resource, prefix string) error {
	from, to := span(prefix)
	err := e.bury(ctx, r, prefix, false)
	if errors.Is(err, errNoRecord) {
		// It was swept already, or made by another program. Where there is nothing, nothing is written either.
		left, failure := e.scan(ctx, from, to, 1)
		if failure != nil || len(left) == 0 {
			return failure
		}
		err = e.bury(ctx, r, prefix, true)
	}
	if err != nil {
		return err
	}
	return e.clear(ctx, from, to)
}

var errNoRecord = errors.New("no record of the namespace")

// bury marks a namespace as deleted. Where there is no record it makes one, or returns errNoRecord.
func (e *Engine) bury(ctx context.Context, r engine.Resource, prefix string, anew bool) error {
	return e.update(ctx, func(ctx context.Context, tx transaction) error {
		found, err := read(ctx, tx, prefix)
		now := tx.now().UTC()
		switch {
		case err != nil:
			return err
		case found == nil && !anew:
			return errNoRecord
		case found == nil:
			found = &record{UserUID: r.UserUID, ResourceID: r.ResourceID, Prefix: prefix, CreatedAt: now}
		case e.isForeign(*found):
			return &engine.Foreign{What: "the prefix " + prefix}
		case found.resource() != r:
			return fmt.Errorf("%w: the prefix is another resource's", engine.ErrUnusable)
		case found.State == deleted:
			return nil
		}
		found.Platform, found.State, found.CleanSince = e.platform, deleted, &now
		return write(tx, *found)
	})
}

// Find implements engine.KV.
func (e *Engine) Find(ctx context.Context, r engine.Resource) (prefix string, err error) {
	elsewhere := false
	err = e.all(ctx, func(found []record) error {
		for _, one := range found {
			switch {
			case one.State != active || one.resource() != r || e.isForeign(one):
			case one.Platform == e.platform, prefix == "" && one.Prefix == e.Name(r):
				prefix = one.Prefix
			default:
				elsewhere = true
			}
		}
		return nil
	})
	if err == nil && prefix == "" && elsewhere {
		return "", fmt.Errorf("%w: a namespace", engine.ErrElsewhere)
	}
	return prefix, err
}

// List implements engine.KV. What an earlier release recorded under another prefix than this configuration gives is another
// platform's: the registry is the store's.
func (e *Engine) List(ctx context.Context, page func([]engine.Found) error) error {
	return e.all(ctx, func(found []record) error {
		var alive []engine.Found
		for _, r := range found {
			if r.State == active && (r.Platform == e.platform || r.Platform == "" && r.Prefix == e.Name(r.resource())) {
				alive = append(alive, engine.Found{Resource: r.resource(), Unclaimed: r.Platform == ""})
			}
		}
		return page(alive)
	})
}

// Sweep implements engine.KV. One namespace that cannot be swept does not keep the others from it.
func (e *Engine) Sweep(ctx context.Context) (left int, err error) {
	var failure error
	err = e.all(ctx, func(found []record) error {
		for _, r := range found {
			if r.State != deleted || e.isForeign(r) {
				continue
			}
			gone, err := e.sweep(ctx, r)
			if err != nil {
				failure = err
			}
			if !gone {
				left++
			}
		}
		return ctx.Err()
	})
	if err == nil {
		err = failure
	}
	return left, err
}

// sweep looks once more under a deleted namespace's prefix. What is found there is removed, and the time begins again;
// when nothing was found for long enough, the record goes, and with it the last trace.
func (e *Engine) sweep(ctx context.Context, r record) (gone bool, err error) {
	from, to := span(r.Prefix)
	late, err := e.scan(ctx, from, to, 1)
	if err != nil {
		return false, err
	}
	if len(late) > 0 {
		if err := e.clear(ctx, from, to); err != nil {
			return false, err
		}
		return false, e.onDeleted(ctx, r, func(tx transaction, found record) error {
			now := tx.now().UTC()
			found.CleanSince = &now
			return write(tx, found)
		})
	}
	due := make(chan bool, 1)
	err = e.onDeleted(ctx, r, func(tx transaction, found record) error {
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
		return true, nil // another process was faster
	}
	// No key is seen, but a transaction may have locked some and not committed: those go too, so that it never can.
	if err := e.clear(ctx, from, to); err != nil {
		return false, err
	}
	err = e.onDeleted(ctx, r, func(tx transaction, found record) error { return tx.remove(recordKey(found.Prefix)) })
	return err == nil, err
}

// onDeleted runs work on the record of a namespace that is still deleted.
func (e *Engine) onDeleted(ctx context.Context, r record, work func(tx transaction, found record) error) error {
	return e.update(ctx, func(ctx context.Context, tx transaction) error {
		found, err := read(ctx, tx, r.Prefix)
		if err != nil || found == nil || found.State != deleted {
			return err
		}
		return work(tx, *found)
	})
}

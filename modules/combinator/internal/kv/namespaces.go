package kv

import (
	"context"
	"errors"
	"fmt"
	"time"

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
		case createMissing && found.State == active:
			return fmt.Errorf("%w: the namespace was created again", engine.ErrBusy)
		}
		// Also of a namespace that is deleted already: see sweepNamespace.
		found.Platform, found.State, found.CleanSince, found.Cleared = e.platform, deleted, &now, false
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

// sweepNamespace deletes the keys under a deleted namespace's prefix. When it finds some, the waiting time starts again. When
// none were found for long enough, it clears the prefix once more, since a transaction may have locked keys and not committed,
// which then fails; after the same time again it deletes the record. The waiting time starts again before each clearing: the
// record, which reserves the prefix, stays, so that a process that is paused before it clears does not clear a namespace that was
// created again meanwhile.
func (e *Engine) sweepNamespace(ctx context.Context, r record) (done bool, err error) {
	from, to := keyRange(r.Prefix)
	late, err := e.scan(ctx, from, to, 1)
	if err != nil {
		return false, err
	}
	decisions := make(chan sweepDecision, 1)
	err = e.update(ctx, func(ctx context.Context, tx transaction) error {
		found, err := read(ctx, tx, r.Prefix)
		if err != nil {
			return err
		}
		decision := decide(found, len(late) > 0, tx.now().UTC(), e.config.SweepAfter)
		select {
		case <-decisions: // of an attempt that was not committed
		default:
		}
		select {
		case decisions <- decision:
		default:
		}
		switch decision.step {
		case sweepClear:
			return write(tx, *found)
		case sweepRemove:
			return tx.remove(recordKey(r.Prefix))
		case sweepWait, sweepNone:
		}
		return nil
	})
	if err != nil {
		return false, err
	}
	switch decision := <-decisions; decision.step {
	case sweepWait:
		return false, nil
	case sweepClear:
		if err := e.clear(ctx, from, to); err != nil || len(late) > 0 {
			return false, err
		}
		return false, e.markCleared(ctx, r, decision.since)
	case sweepRemove, sweepNone:
	}
	return true, nil
}

// markCleared records a clearing, unless the waiting time has started again since.
func (e *Engine) markCleared(ctx context.Context, r record, since time.Time) error {
	return e.update(ctx, func(ctx context.Context, tx transaction) error {
		found, err := read(ctx, tx, r.Prefix)
		if err != nil || found == nil || found.State != deleted || found.CleanSince == nil || !found.CleanSince.Equal(since) {
			return err
		}
		found.Cleared = true
		return write(tx, *found)
	})
}

// sweepDecision is what to do about a deleted namespace; since is when its waiting time started again for a clearing.
type sweepDecision struct {
	step  sweepStep
	since time.Time
}

type sweepStep int

const (
	sweepWait   sweepStep = iota // until no key was found for long enough
	sweepClear                   // clear the prefix
	sweepRemove                  // remove the record
	sweepNone                    // another process removed the record
)

// decide returns what to do about a deleted namespace. Before a clearing it starts the waiting time of found again.
func decide(found *record, late bool, now time.Time, after time.Duration) sweepDecision {
	switch {
	case found == nil || found.State != deleted:
		return sweepDecision{step: sweepNone}
	case !late && found.CleanSince != nil && now.Sub(*found.CleanSince) < after:
		return sweepDecision{step: sweepWait}
	case !late && found.Cleared:
		return sweepDecision{step: sweepRemove}
	}
	found.CleanSince, found.Cleared = &now, false
	return sweepDecision{sweepClear, now}
}

package examine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"app238.com/inner/app/config"
	"app238.com/inner/modules/audit/admin"
	"app238.com/inner/modules/audit/internal/limits"
	"app238.com/inner/modules/audit/internal/store"
	"app238.com/inner/modules/audit/internal/things"
	"app238.com/inner/modules/audit/inventory"
)

// tracked is the most orphans of a kind that are told of and followed over audits; more are only counted. It is far above
// what an audit may delete.
const tracked = 10_000

// orphan is a thing that no row wishes and that no task is about.
type orphan struct {
	inventory.Object
	// seen is nil where no earlier audit is known to have seen it.
	seen *store.Observation
}

// orphans decides about the things that no row wishes, and has deleted what may be.
func (r *run) orphans(ctx context.Context, i inventory.Inventory, world *things.Things, k *admin.Kind) error {
	objects, total := world.Orphans(tracked)
	orphans, err := r.idle(ctx, objects)
	if err != nil {
		return fmt.Errorf("tasks: %w", err)
	}
	k.Orphans = int64(total - len(objects) + len(orphans))
	refusal := cmp.Or(r.audit.Refusal, k.Refusal)
	if err := r.recall(ctx, k.Kind, orphans, refusal); err != nil {
		return fmt.Errorf("sightings: %w", err)
	}
	slices.SortStableFunc(orphans, earlier)
	most := limits.OfShare(k.Things, r.config.MaxDeletionShare)
	failed := 0
	for _, o := range orphans {
		f := r.decide(o, k.Kind, refusal)
		broken, err := false, error(nil)
		if f.Action == admin.Delete {
			broken, err = r.deleteOne(ctx, i, o, &f, k, most)
		}
		r.sink.Finding(f)
		if err != nil {
			return err
		}
		if broken {
			failed++
		}
	}
	if failed > 0 {
		return fmt.Errorf("%d deletions failed", failed)
	}
	return nil
}

// idle leaves out what an unfinished task is about: a deletion that Outer has asked for, most often.
func (r *run) idle(ctx context.Context, objects []inventory.Object) ([]orphan, error) {
	asked := map[string]bool{}
	for _, o := range objects {
		if o.Key != "" {
			asked[o.Key] = true
		}
	}
	busy, err := r.unfinished(ctx, keys(asked))
	if err != nil {
		return nil, err
	}
	orphans := make([]orphan, 0, len(objects))
	for _, o := range objects {
		if !busy[o.Key] {
			orphans = append(orphans, orphan{Object: o})
		}
	}
	return orphans, nil
}

// recall adds what earlier audits have seen. An audit that acts and has no reason to mistrust what it sees records its own
// sightings.
func (r *run) recall(ctx context.Context, kind string, orphans []orphan, refusal string) error {
	names := make([]string, len(orphans))
	for n, o := range orphans {
		names[n] = o.Name
	}
	var known map[string]store.Observation
	var err error
	if r.acting() && refusal == "" {
		known, err = r.store.Observe(ctx, r.task, kind, names, r.config.Grace)
	} else {
		known, err = r.store.Seen(ctx, kind, names, r.config.Grace)
	}
	for n, o := range orphans {
		if s, there := known[o.Name]; there {
			orphans[n].seen = &s
		}
	}
	return err
}

// earlier puts what was seen first first, and what is seen for the first time last.
func earlier(a, b orphan) int {
	switch {
	case a.seen != nil && b.seen != nil:
		return a.seen.First.Compare(b.seen.First)
	case a.seen != nil:
		return -1
	case b.seen != nil:
		return 1
	}
	return 0
}

// decide says what becomes of an orphan, limits left aside.
func (r *run) decide(o orphan, kind, refusal string) admin.Finding {
	f := admin.Finding{Kind: kind, Name: o.Name, Owner: o.Owner, ID: o.ID, Problem: admin.Orphan, Parts: o.Parts, Action: admin.Wait}
	if o.seen != nil {
		f.Since = &o.seen.First
	}
	switch {
	case o.seen == nil:
		f.Why = fmt.Sprintf("no row wishes it; seen for the first time, audit.grace is %s", r.config.Grace)
	case !o.seen.Due:
		f.Why = fmt.Sprintf("no row wishes it; first seen %s, audit.grace is %s", o.seen.First.Format(time.DateTime), r.config.Grace)
	default:
		f.Action, f.Why = admin.Delete, "no row has wished it since "+o.seen.First.Format(time.DateTime)
	}
	switch {
	case refusal != "":
		f.Action, f.Why = admin.Tell, f.Why+"; nothing is deleted: "+refusal
	case r.config.Mode == config.AuditReports:
		f.Action, f.Why = admin.Tell, f.Why+"; audit.mode is report"
	}
	return f
}

// deleteOne has an orphan deleted, as far as the limits allow.
func (r *run) deleteOne(ctx context.Context, i inventory.Inventory, o orphan, f *admin.Finding, k *admin.Kind, most int64) (failed bool, err error) {
	allowed, err := r.reserve(ctx, k, most)
	if err != nil {
		return true, fmt.Errorf("deletions: %w", err)
	}
	if !allowed {
		f.Action, f.Why = admin.Wait, f.Why+"; the limit of audit.maxDeletions or audit.maxDeletionShare is reached"
		return false, nil
	}
	wished := false
	if r.acting() {
		failed, err = r.attempt(ctx, "delete", *f, func(ctx context.Context) error {
			err := i.Delete(ctx, o.Object)
			if wished = errors.Is(err, inventory.ErrReferenced); wished {
				return nil
			}
			return err
		})
	}
	switch {
	case failed:
		f.Action = admin.Fail
	case wished:
		f.Action, f.Why = admin.Tell, "a row wishes it by now"
	default:
		k.Deleted++
	}
	return failed, err
}

// reserve counts one more deletion and tells whether there may be one.
func (r *run) reserve(ctx context.Context, k *admin.Kind, most int64) (bool, error) {
	if r.acting() {
		return r.store.Reserve(ctx, r.task, k.Kind, store.Limits{Kind: most, All: int64(r.config.MaxDeletions)})
	}
	if r.deletions == 0 || k.Deleted >= most {
		return false, nil
	}
	r.deletions--
	return true, nil
}

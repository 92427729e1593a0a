package examine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"app238.com/inner/app/config"
	"app238.com/inner/modules/audit/internal/ledger"
	"app238.com/inner/modules/audit/internal/limits"
	"app238.com/inner/modules/audit/internal/things"
	"app238.com/inner/modules/audit/inventory"
	"app238.com/inner/modules/audit/report"
)

// tracked is the most orphans of a kind that are told of and followed over audits; more are only counted. It is far above
// what an audit may delete.
const tracked = 10_000

// orphan is a thing that no row wishes and that no task is about.
type orphan struct {
	inventory.Object
	// seen is nil where no earlier audit is known to have seen it.
	seen *ledger.Sighting
}

// orphans decides about the things that no row wishes, and has deleted what may be.
func (r *run) orphans(ctx context.Context, i inventory.Inventory, world *things.Things, k *report.Kind) error {
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
	orphans = inTurns(orphans)
	most := limits.OfShare(k.Things, r.config.MaxDeletionShare)
	failed := 0
	for _, o := range orphans {
		f := r.decide(o, k.Kind, refusal)
		broken, err := false, error(nil)
		if f.Action == report.Delete {
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
	var known map[string]ledger.Sighting
	var err error
	if r.acting() && refusal == "" {
		known, err = r.ledger.Sight(ctx, r.task, kind, names, r.config.Grace)
	} else {
		known, err = r.ledger.Seen(ctx, kind, names, r.config.Grace)
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

// inTurns puts the first of each owner first, then the second of each: those of one, which may be such that no deletion succeeds, leave
// others their part of what an audit may delete.
func inTurns(orphans []orphan) []orphan {
	var turns [][]orphan
	of := map[string]int{}
	for _, o := range orphans {
		turn := of[o.Owner]
		of[o.Owner]++
		if turn == len(turns) {
			turns = append(turns, nil)
		}
		turns[turn] = append(turns[turn], o)
	}
	return slices.Concat(turns...)
}

// decide says what becomes of an orphan, limits left aside.
func (r *run) decide(o orphan, kind, refusal string) report.Finding {
	f := report.Finding{Kind: kind, Name: o.Name, Owner: o.Owner, ID: o.ID, Problem: report.Orphan, Parts: o.Parts, Action: report.Wait}
	if o.seen != nil {
		f.Since = &o.seen.First
	}
	switch {
	case o.seen == nil:
		f.Why = fmt.Sprintf("no row wishes it; seen for the first time, audit.grace is %s", r.config.Grace)
	case !o.seen.Due:
		f.Why = fmt.Sprintf("no row wishes it; first seen %s, audit.grace is %s", o.seen.First.Format(time.DateTime), r.config.Grace)
	default:
		f.Action, f.Why = report.Delete, "no row has wished it since "+o.seen.First.Format(time.DateTime)
	}
	switch {
	case refusal != "":
		f.Action, f.Why = report.Tell, f.Why+"; nothing is deleted: "+refusal
	case r.config.Mode == config.AuditReports:
		f.Action, f.Why = report.Tell, f.Why+"; audit.mode is report"
	}
	return f
}

// deleteOne has an orphan deleted, as far as the limits allow.
func (r *run) deleteOne(ctx context.Context, i inventory.Inventory, o orphan, f *report.Finding, k *report.Kind, most int64) (failed bool, err error) {
	allowed, err := r.reserve(ctx, k, most)
	if err != nil {
		return true, fmt.Errorf("deletions: %w", err)
	}
	if !allowed {
		f.Action, f.Why = report.Wait, f.Why+"; the limit of audit.maxDeletions or audit.maxDeletionShare is reached"
		return false, nil
	}
	wished := false
	if r.acting() {
		failed, err = r.attempt(ctx, "delete", *f, func(ctx context.Context) error {
			err := i.Delete(ctx, o.Object)
			if wished = errors.Is(err, inventory.ErrWished); wished {
				return nil
			}
			return err
		})
	}
	switch {
	case failed:
		f.Action = report.Fail
	case wished:
		f.Action, f.Why = report.Tell, "a row wishes it by now"
	default:
		k.Deleted++
	}
	return failed, err
}

// reserve counts one more deletion and tells whether there may be one.
func (r *run) reserve(ctx context.Context, k *report.Kind, most int64) (bool, error) {
	all := limits.UpTo(r.config.MaxDeletions, len(r.inventories), r.later)
	if r.acting() {
		return r.ledger.Reserve(ctx, r.task, k.Kind, ledger.Limits{Kind: most, All: int64(all)})
	}
	if r.deletions >= all || k.Deleted >= most {
		return false, nil
	}
	r.deletions++
	return true, nil
}

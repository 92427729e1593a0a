package auditor

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"app238.com/inner/app/config"
	"app238.com/inner/modules/audit/admin"
	"app238.com/inner/modules/audit/internal/store"
	"app238.com/inner/modules/audit/inventory"
)

// maxOrphans is how many orphans of a kind are reported and observed across audits; further ones are only counted. It is far
// above what an audit may delete.
const maxOrphans = 10_000

// orphan is an object without a row and without an unfinished task.
type orphan struct {
	inventory.Object
	// observed is nil when no earlier audit is known to have observed it.
	observed *store.ObservedOrphan
}

// deleteOrphans decides about the objects without a row and has deleted those that may be.
func (r *run) deleteOrphans(ctx context.Context, i inventory.Inventory, actual *objectSet, k *admin.Kind) error {
	objects, total := actual.orphans(maxOrphans)
	orphans, err := r.withoutActiveTask(ctx, objects)
	if err != nil {
		return fmt.Errorf("tasks: %w", err)
	}
	k.Orphans = int64(total - len(objects) + len(orphans))
	refusal := cmp.Or(r.audit.Refusal, k.Refusal)
	if refusal == "" && r.audit.Users == 0 && k.Orphans > 0 {
		// A new platform has no users either, but no orphans, and then nothing is refused.
		k.Refusal = "there are no users"
		refusal = k.Refusal
	}
	if err := r.addObservations(ctx, k.Kind, orphans, refusal); err != nil {
		return fmt.Errorf("observations: %w", err)
	}
	slices.SortStableFunc(orphans, byFirstObservation)
	orphans = roundRobin(orphans)
	limit := deletionLimit(k.Objects, r.config.MaxDeletionShare)
	failed := 0
	for _, o := range orphans {
		f := r.plan(o, k.Kind, refusal)
		broken, err := false, error(nil)
		if f.Action == admin.Delete {
			broken, err = r.deleteOrphan(ctx, i, o, &f, k, limit)
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

// withoutActiveTask leaves out objects with an unfinished task, most often a deletion that Outer has asked for.
func (r *run) withoutActiveTask(ctx context.Context, objects []inventory.Object) ([]orphan, error) {
	keys := map[string]bool{}
	for _, o := range objects {
		if o.Key != "" {
			keys[o.Key] = true
		}
	}
	active, err := r.activeKeys(ctx, keys)
	if err != nil {
		return nil, err
	}
	orphans := make([]orphan, 0, len(objects))
	for _, o := range objects {
		if !active[o.Key] {
			orphans = append(orphans, orphan{Object: o})
		}
	}
	return orphans, nil
}

// addObservations adds what earlier audits observed. Except in a dry run, and when deletions are refused, it records that
// this audit observed the orphans.
func (r *run) addObservations(ctx context.Context, kind string, orphans []orphan, refusal string) error {
	names := make([]string, len(orphans))
	for n, o := range orphans {
		names[n] = o.Name
	}
	var observed map[string]store.ObservedOrphan
	var err error
	if !r.dryRun() && refusal == "" {
		observed, err = r.store.Observe(ctx, r.task, kind, names, r.config.Grace)
	} else {
		observed, err = r.store.Observations(ctx, kind, names, r.config.Grace)
	}
	for n, o := range orphans {
		if s, ok := observed[o.Name]; ok {
			orphans[n].observed = &s
		}
	}
	return err
}

// byFirstObservation sorts orphans by the time of their first observation; those without one come last.
func byFirstObservation(a, b orphan) int {
	switch {
	case a.observed != nil && b.observed != nil:
		return a.observed.First.Compare(b.observed.First)
	case a.observed != nil:
		return -1
	case b.observed != nil:
		return 1
	}
	return 0
}

// roundRobin puts the first orphan of each owner first, then the second of each, and so on: one owner's orphans, which may be
// such that no deletion succeeds, leave other owners a share of what an audit may delete.
func roundRobin(orphans []orphan) []orphan {
	var rounds [][]orphan
	ofOwner := map[string]int{}
	for _, o := range orphans {
		round := ofOwner[o.Owner]
		ofOwner[o.Owner]++
		if round == len(rounds) {
			rounds = append(rounds, nil)
		}
		rounds[round] = append(rounds[round], o)
	}
	return slices.Concat(rounds...)
}

// plan decides what is done about an orphan, before the limits are applied.
func (r *run) plan(o orphan, kind, refusal string) admin.Finding {
	f := admin.Finding{Kind: kind, Name: o.Name, Owner: o.Owner, ID: o.ID, Problem: admin.Orphan, Parts: o.Parts, Action: admin.Wait}
	if o.observed != nil {
		f.Since = &o.observed.First
	}
	switch {
	case o.observed == nil:
		f.Why = fmt.Sprintf("the object has no row; observed for the first time, audit.grace is %s", r.config.Grace)
	case !o.observed.Due:
		f.Why = fmt.Sprintf("the object has no row; first observed %s, audit.grace is %s",
			o.observed.First.Format(time.DateTime), r.config.Grace)
	default:
		f.Action, f.Why = admin.Delete, "the object has had no row since "+o.observed.First.Format(time.DateTime)
	}
	switch {
	case refusal != "":
		f.Action, f.Why = admin.Report, f.Why+"; nothing is deleted: "+refusal
	case r.config.Mode == config.AuditReports:
		f.Action, f.Why = admin.Report, f.Why+"; audit.mode is report"
	}
	return f
}

// deleteOrphan has an orphan deleted when the limits allow it.
func (r *run) deleteOrphan(
	ctx context.Context, i inventory.Inventory, o orphan, f *admin.Finding, k *admin.Kind, limit int64,
) (failed bool, err error) {
	allowed, err := r.reserve(ctx, k, limit)
	if err != nil {
		return true, fmt.Errorf("deletions: %w", err)
	}
	if !allowed {
		f.Action, f.Why = admin.Wait, f.Why+"; the limit of audit.maxDeletions or audit.maxDeletionShare is reached"
		return false, nil
	}
	referenced := false
	if !r.dryRun() {
		failed, err = r.execute(ctx, "delete", *f, func(ctx context.Context) error {
			err := i.Delete(ctx, o.Object)
			if referenced = errors.Is(err, inventory.ErrReferenced); referenced {
				return nil
			}
			return err
		})
	}
	switch {
	case failed:
		f.Action = admin.Fail
	case referenced:
		f.Action, f.Why = admin.Report, "the object has a row by now"
	default:
		k.Deleted++
	}
	return failed, err
}

// reserve counts one more deletion, unless a limit is reached.
func (r *run) reserve(ctx context.Context, k *admin.Kind, limit int64) (bool, error) {
	all := totalLimit(r.config.MaxDeletions, len(r.inventories), r.remaining)
	if !r.dryRun() {
		return r.store.Reserve(ctx, r.task, k.Kind, store.Limits{Kind: limit, All: int64(all)})
	}
	if r.deletions >= all || k.Deleted >= limit {
		return false, nil
	}
	r.deletions++
	return true, nil
}

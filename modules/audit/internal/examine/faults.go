package examine

import (
	"context"
	"fmt"
	"strings"

	"app238.com/inner/modules/audit/admin"
	"app238.com/inner/modules/audit/inventory"
)

// fault is a row and what is wrong with it, which may be nothing.
type fault struct {
	wish inventory.Desired
	inventory.Drift
}

func (f fault) is() bool { return len(f.Missing) > 0 || f.Stuck }

func (f fault) finding(kind string) admin.Finding {
	finding := admin.Finding{
		Kind: kind, Name: f.wish.Name, Owner: f.wish.Owner, ID: f.wish.ID, Action: admin.Repair,
		Problem: admin.Stuck, Why: "the row is loading, and no task is going to end that",
	}
	if len(f.Missing) > 0 {
		finding.Problem, finding.Parts = admin.Missing, f.Missing
		finding.Why = "the row needs what does not exist: " + strings.Join(f.Missing, ", ")
	}
	return finding
}

// repair has the rows of a page that are at fault put right and returns how many repairs failed.
func (r *run) repair(ctx context.Context, i inventory.Inventory, page []fault, k *admin.Kind) (failed int, err error) {
	known, err := r.owners(ctx, page)
	if err != nil {
		return 0, fmt.Errorf("users: %w", err)
	}
	busy, err := r.busy(ctx, page)
	if err != nil {
		return 0, fmt.Errorf("tasks: %w", err)
	}
	for _, f := range page {
		if f.wish.Since.After(r.before) || busy[f.wish.Key] {
			continue // a task about it is on its way, or may be
		}
		finding := f.finding(k.Kind)
		switch {
		case !known[f.wish.Owner]:
			k.Ownerless++
			if r.unsticking || r.audit.Refusal != "" {
				continue // the audit tells of it, unless it is the users that are wrong
			}
			finding.Problem, finding.Action, finding.Why = admin.Ownerless, admin.Tell, "the row's user does not exist"
		case !f.is():
			continue
		default:
			count(k, f)
			broken, err := r.repairOne(ctx, i, f, &finding, k)
			if broken {
				failed++
			}
			if err != nil {
				return failed, err
			}
		}
		r.sink.Finding(finding)
	}
	return failed, nil
}

func count(k *admin.Kind, f fault) {
	if len(f.Missing) > 0 {
		k.Missing++
	}
	if f.Stuck {
		k.Stuck++
	}
}

func (r *run) repairOne(ctx context.Context, i inventory.Inventory, f fault, finding *admin.Finding, k *admin.Kind) (failed bool, err error) {
	if r.repairs == 0 {
		finding.Action, finding.Why = admin.Wait, finding.Why+"; the limit of audit.maxRepairs is reached"
		return false, nil
	}
	r.repairs--
	if r.acting() {
		failed, err = r.attempt(ctx, "repair", *finding, func(ctx context.Context) error {
			return i.Repair(ctx, f.wish, f.Drift)
		})
	}
	if failed {
		finding.Action = admin.Fail
		return failed, err
	}
	k.Repaired++
	return false, nil
}

// owners returns which of the owners of rows are users.
func (r *run) owners(ctx context.Context, page []fault) (map[string]bool, error) {
	uids := map[string]bool{}
	for _, f := range page {
		uids[f.wish.Owner] = true
	}
	return r.users.Known(ctx, keys(uids))
}

// busy returns the ordering keys of faults about which a task is unfinished. They are asked for after the rows were read,
// so that a row which says loading because its task has just been accepted is not taken for stuck.
func (r *run) busy(ctx context.Context, page []fault) (map[string]bool, error) {
	asked := map[string]bool{}
	for _, f := range page {
		if f.is() && f.wish.Key != "" {
			asked[f.wish.Key] = true
		}
	}
	return r.unfinished(ctx, keys(asked))
}

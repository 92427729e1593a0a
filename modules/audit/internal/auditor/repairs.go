package auditor

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"app238.com/inner/modules/audit/admin"
	"app238.com/inner/modules/audit/inventory"
)

// row is a row and its drift, which may be empty.
type row struct {
	desired inventory.Desired
	inventory.Drift
}

func (w row) drifted() bool { return len(w.Missing) > 0 || w.Stuck }

func (w row) finding(kind string) admin.Finding {
	finding := admin.Finding{
		Kind: kind, Name: w.desired.Name, Owner: w.desired.Owner, ID: w.desired.ID, Action: admin.Repair,
		Problem: admin.Stuck, Why: "the row is loading and has no unfinished task",
	}
	if len(w.Missing) > 0 {
		finding.Problem, finding.Parts = admin.Missing, w.Missing
		finding.Why = "parts of the row's object are missing: " + strings.Join(w.Missing, ", ")
	}
	return finding
}

// repairPage has the rows of a page repaired that have a drift, and returns how many repairs failed.
func (r *run) repairPage(ctx context.Context, i inventory.Inventory, page []row, k *admin.Kind) (failed int, err error) {
	known, err := r.knownOwners(ctx, page)
	if err != nil {
		return 0, fmt.Errorf("users: %w", err)
	}
	active, err := r.activeDrifted(ctx, page)
	if err != nil {
		return 0, fmt.Errorf("tasks: %w", err)
	}
	for _, w := range page {
		if w.desired.Since.After(r.changedBefore) || active[w.desired.Key] {
			continue // a task for the row is unfinished, or about to be accepted
		}
		finding := w.finding(k.Kind)
		switch {
		case !known[w.desired.Owner]:
			k.Ownerless++
			if r.stuckOnly || r.audit.Refusal != "" {
				continue // the audit reports it, unless the list of users itself is suspect
			}
			finding.Problem, finding.Action, finding.Why = admin.Ownerless, admin.Report, "the row's user does not exist"
		case !w.drifted():
			continue
		default:
			countDrift(k, w)
			broken, err := r.repairRow(ctx, i, w, &finding, k)
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

func countDrift(k *admin.Kind, w row) {
	if len(w.Missing) > 0 {
		k.Missing++
	}
	if w.Stuck {
		k.Stuck++
	}
}

func (r *run) repairRow(
	ctx context.Context, i inventory.Inventory, w row, finding *admin.Finding, k *admin.Kind,
) (failed bool, err error) {
	if r.repairs == 0 {
		finding.Action, finding.Why = admin.Wait, finding.Why+"; the limit of audit.maxRepairs is reached"
		return false, nil
	}
	r.repairs--
	if !r.dryRun() {
		failed, err = r.execute(ctx, "repair", *finding, func(ctx context.Context) error {
			return i.Repair(ctx, w.desired, w.Drift)
		})
	}
	if failed {
		finding.Action = admin.Fail
		return failed, err
	}
	k.Repaired++
	return false, nil
}

// knownOwners returns which of the rows' owners are users.
func (r *run) knownOwners(ctx context.Context, page []row) (map[string]bool, error) {
	uids := map[string]bool{}
	for _, w := range page {
		uids[w.desired.Owner] = true
	}
	return r.store.KnownUsers(ctx, slices.Collect(maps.Keys(uids)))
}

// activeDrifted returns the ordering keys of drifted rows that have an unfinished task. The tasks are read after the rows,
// so a row that is loading because its task was accepted in between is not taken for stuck.
func (r *run) activeDrifted(ctx context.Context, page []row) (map[string]bool, error) {
	keys := map[string]bool{}
	for _, w := range page {
		if w.drifted() && w.desired.Key != "" {
			keys[w.desired.Key] = true
		}
	}
	return r.activeKeys(ctx, keys)
}

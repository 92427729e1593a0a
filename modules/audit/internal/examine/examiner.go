// Package examine carries out audits: for each kind of thing it lists the world, then the rows, compares them, has rows
// put right, and decides about orphans.
package examine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"

	"app238.com/inner/app/config"
	"app238.com/inner/app/observe"
	"app238.com/inner/modules/audit/internal/ledger"
	"app238.com/inner/modules/audit/internal/limits"
	"app238.com/inner/modules/audit/internal/users"
	"app238.com/inner/modules/audit/inventory"
	"app238.com/inner/modules/audit/report"
	"app238.com/inner/modules/tasks/job"
)

// Examiner audits. It implements report.Auditor.
type Examiner struct {
	config      config.Audit
	inventories []inventory.Inventory
	ledger      *ledger.Ledger
	users       *users.Users
	tasks       job.Busy
	log         *zap.Logger
}

// New returns an Examiner of the inventories. Two of one kind, or one without, are an error.
func New(c *config.Config, l *ledger.Ledger, u *users.Users, tasks job.Busy, log *zap.Logger, inventories []inventory.Inventory) (*Examiner, error) {
	sorted := slices.SortedFunc(slices.Values(inventories), func(a, b inventory.Inventory) int {
		return strings.Compare(a.Kind(), b.Kind())
	})
	last := ""
	for _, i := range sorted {
		switch kind := i.Kind(); kind {
		case "", ledger.Users:
			return nil, fmt.Errorf("an inventory may not be of kind %q", kind)
		case last:
			return nil, fmt.Errorf("two inventories are of kind %q", kind)
		default:
			last = kind
		}
	}
	return &Examiner{config: c.Audit, inventories: sorted, ledger: l, users: u, tasks: tasks, log: log.Named("job")}, nil
}

// DryRun implements report.Auditor.
func (e *Examiner) DryRun(ctx context.Context, sink report.Sink) (report.Audit, error) {
	ctx, cancel := context.WithTimeout(ctx, e.config.Timeout)
	defer cancel()
	r := e.newRun(0, sink)
	if err := r.begin(ctx); err != nil {
		return r.audit, err
	}
	r.everyKind(ctx)
	finished, err := e.ledger.Now(ctx)
	r.audit.FinishedAt = &finished
	return r.audit, err
}

// Last implements report.Auditor.
func (e *Examiner) Last(ctx context.Context) (report.Audit, error) { return e.ledger.Last(ctx) }

// Act audits on behalf of a task, has repaired and deleted what is to be, and records it. Its error joins those of the
// kinds that could not be audited to the end; the others were.
func (e *Examiner) Act(ctx context.Context, task int64, sink report.Sink) (report.Audit, error) {
	r := e.newRun(task, sink)
	if err := e.ledger.Begin(ctx, task, e.config.Mode); err != nil {
		return r.audit, err
	}
	if err := r.begin(ctx); err != nil {
		return r.audit, err
	}
	if err := e.ledger.Record(ctx, task, report.Kind{Kind: ledger.Users, Rows: r.audit.Users, Refusal: r.audit.Refusal}); err != nil {
		return r.audit, err
	}
	r.everyKind(ctx)
	if len(r.faults) > 0 {
		return r.audit, errors.Join(r.faults...)
	}
	return r.audit, e.ledger.Finish(ctx, task, r.audit.Refusal)
}

// Unstick repairs rows that are loading though no task is going to end that, on behalf of a task. It reads no other rows, lists no
// objects, and leaves rows without a user to the audit.
func (e *Examiner) Unstick(ctx context.Context, task int64, sink report.Sink) error {
	r := e.newRun(task, sink)
	r.unsticking = true
	now, err := e.ledger.Now(ctx)
	if err != nil {
		return fmt.Errorf("database: %w", err)
	}
	r.before = now.Add(-e.config.MinAge)
	for _, i := range e.inventories {
		if loader, ok := i.(inventory.Loader); ok {
			k := report.Kind{Kind: i.Kind()}
			if err := r.rows(ctx, i, loader.Loading, func(inventory.Wish) []string { return nil }, &k); err != nil {
				r.faults = append(r.faults, fmt.Errorf("%s: %w", k.Kind, err))
			}
		}
	}
	return errors.Join(r.faults...)
}

// run is one audit under way.
type run struct {
	*Examiner
	// task is 0 for a dry run, which changes and records nothing.
	task int64
	sink report.Sink
	// before is the latest moment at which a row that is at fault may have changed.
	before time.Time
	audit  report.Audit
	// repairs are how many more there may be, deletions how many there were; those of an audit that acts are counted in the database.
	repairs, deletions int
	// later are how many kinds are audited after the present one.
	later  int
	faults []error
	// unsticking tells that this is no audit, but the pass for rows that are loading.
	unsticking bool
}

func (e *Examiner) newRun(task int64, sink report.Sink) *run {
	return &run{
		Examiner: e, task: task, sink: sink, repairs: e.config.MaxRepairs,
		audit: report.Audit{Task: task, Mode: e.config.Mode, Kinds: []report.Kind{}},
	}
}

// acting tells that this is not a dry run.
func (r *run) acting() bool { return r.task != 0 }

// begin counts the users, and decides whether they allow deletions.
func (r *run) begin(ctx context.Context) (err error) {
	if r.audit.StartedAt, err = r.ledger.Now(ctx); err != nil {
		return fmt.Errorf("database: %w", err)
	}
	r.before = r.audit.StartedAt.Add(-r.config.MinAge)
	if r.audit.Users, err = r.users.Each(ctx, r.sink.User); err != nil {
		return fmt.Errorf("users: %w", err)
	}
	if r.audit.Users == 0 {
		r.audit.Refusal = "there are no users"
		return nil
	}
	r.audit.Refusal, err = r.refusal(ctx, ledger.Users, r.audit.Users)
	return err
}

// refusal compares the number of rows of a kind with those of earlier audits.
func (r *run) refusal(ctx context.Context, kind string, rows int64) (string, error) {
	most, err := r.ledger.MostRows(ctx, r.task, kind)
	if err != nil {
		return "", fmt.Errorf("earlier audits: %w", err)
	}
	return limits.Refusal(kind, rows, most, r.config.MaxShrink), nil
}

// everyKind audits one kind after the other. A kind that fails does not keep the others from being audited.
func (r *run) everyKind(ctx context.Context) {
	for n, i := range r.inventories {
		r.later = len(r.inventories) - 1 - n
		k := report.Kind{Kind: i.Kind()}
		if err := r.kind(ctx, i, &k); err != nil {
			k.Fault = "it could not be audited to the end, see the log"
			r.log.Warn("a kind could not be audited to the end", zap.String("kind", k.Kind), observe.Error(err))
			r.faults = append(r.faults, fmt.Errorf("%s: %w", k.Kind, err))
		}
		r.audit.Kinds = append(r.audit.Kinds, k)
	}
}

// Package auditor carries out audits: for each kind it lists the actual objects, then the desired rows, compares them, has
// rows repaired, and decides about orphans.
package auditor

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"go.uber.org/fx"
	"go.uber.org/zap"

	"app238.com/inner/app/config"
	"app238.com/inner/app/logging"
	"app238.com/inner/modules/audit/admin"
	"app238.com/inner/modules/audit/internal/store"
	"app238.com/inner/modules/audit/inventory"
	"app238.com/inner/modules/tasks/job"
)

// Auditor runs audits. It implements admin.Admin.
type Auditor struct {
	config      config.Audit
	inventories []inventory.Inventory
	store       *store.Store
	tasks       job.ActiveKeys
	log         *zap.Logger
}

// Params are the parameters of New.
type Params struct {
	fx.In

	Config      *config.Config
	Store       *store.Store
	Tasks       job.ActiveKeys
	Log         *zap.Logger
	Inventories []inventory.Inventory `group:"inventories"`
}

// New returns an Auditor. Two inventories of the same kind, or one without a kind, are an error.
func New(p Params) (*Auditor, error) {
	sorted := slices.SortedFunc(slices.Values(p.Inventories), func(a, b inventory.Inventory) int {
		return strings.Compare(a.Kind(), b.Kind())
	})
	last := ""
	for _, i := range sorted {
		switch kind := i.Kind(); kind {
		case "", store.UserKind:
			return nil, fmt.Errorf("an inventory may not be of kind %q", kind)
		case last:
			return nil, fmt.Errorf("two inventories are of kind %q", kind)
		default:
			last = kind
		}
	}
	return &Auditor{config: p.Config.Audit, inventories: sorted, store: p.Store, tasks: p.Tasks, log: p.Log.Named("job")}, nil
}

// DryRun implements admin.Admin.
func (a *Auditor) DryRun(ctx context.Context, sink admin.Sink) (admin.Audit, error) {
	ctx, cancel := context.WithTimeout(ctx, a.config.Timeout)
	defer cancel()
	r := a.newRun(0, sink)
	if err := r.start(ctx); err != nil {
		return r.audit, err
	}
	r.auditKinds(ctx)
	finished, err := a.store.Now(ctx)
	r.audit.FinishedAt = &finished
	return r.audit, err
}

// Last implements admin.Admin.
func (a *Auditor) Last(ctx context.Context) (admin.Audit, error) { return a.store.Last(ctx) }

// Run audits on behalf of a task, has resources repaired and orphans deleted, and records the result. Its error joins those
// of the kinds whose audit failed; the other kinds were audited.
func (a *Auditor) Run(ctx context.Context, task int64, sink admin.Sink) (admin.Audit, error) {
	r := a.newRun(task, sink)
	if err := a.store.Begin(ctx, task, a.config.Mode); err != nil {
		return r.audit, err
	}
	if err := r.start(ctx); err != nil {
		return r.audit, err
	}
	users := admin.Kind{Kind: store.UserKind, Rows: r.audit.Users, Refusal: r.audit.Refusal}
	if err := a.store.Record(ctx, task, users); err != nil {
		return r.audit, err
	}
	r.auditKinds(ctx)
	if len(r.errs) > 0 {
		return r.audit, errors.Join(r.errs...)
	}
	return r.audit, a.store.Finish(ctx, task, r.audit.Refusal)
}

// RepairStuck repairs, on behalf of a task, rows that are loading without an unfinished task. It reads no other rows, lists
// no objects, and leaves rows without a user to the audit.
func (a *Auditor) RepairStuck(ctx context.Context, task int64, sink admin.Sink) error {
	r := a.newRun(task, sink)
	r.stuckOnly = true
	now, err := a.store.Now(ctx)
	if err != nil {
		return fmt.Errorf("database: %w", err)
	}
	r.changedBefore = now.Add(-a.config.MinAge)
	for _, i := range a.inventories {
		if loader, ok := i.(inventory.Loader); ok {
			k := admin.Kind{Kind: i.Kind()}
			if err := r.repairRows(ctx, i, loader.Loading, func(inventory.Desired) []string { return nil }, &k); err != nil {
				r.errs = append(r.errs, fmt.Errorf("%s: %w", k.Kind, err))
			}
		}
	}
	return errors.Join(r.errs...)
}

// run is one audit in progress.
type run struct {
	*Auditor
	// task is 0 for a dry run, which changes and records nothing.
	task int64
	sink admin.Sink
	// changedBefore excludes rows that changed later: their tasks may not have been accepted yet.
	changedBefore time.Time
	audit         admin.Audit
	// repairs are how many more are allowed, deletions how many were made. Only a dry run counts deletions here, other runs in
	// the store.
	repairs, deletions int
	// remaining is how many kinds are audited after the current one.
	remaining int
	errs      []error
	// stuckOnly is set by RepairStuck, which is no audit.
	stuckOnly bool
}

func (a *Auditor) newRun(task int64, sink admin.Sink) *run {
	return &run{
		Auditor: a, task: task, sink: sink, repairs: a.config.MaxRepairs,
		audit: admin.Audit{Task: task, Mode: a.config.Mode, Kinds: []admin.Kind{}},
	}
}

func (r *run) dryRun() bool { return r.task == 0 }

// start counts the users and decides whether their number has shrunk too much for any deletion.
func (r *run) start(ctx context.Context) (err error) {
	if r.audit.StartedAt, err = r.store.Now(ctx); err != nil {
		return fmt.Errorf("database: %w", err)
	}
	r.changedBefore = r.audit.StartedAt.Add(-r.config.MinAge)
	if r.audit.Users, err = r.store.EachUser(ctx, r.sink.User); err != nil {
		return fmt.Errorf("users: %w", err)
	}
	r.audit.Refusal, err = r.refusal(ctx, store.UserKind, r.audit.Users)
	return err
}

// refusal compares the number of rows of a kind with those of earlier audits.
func (r *run) refusal(ctx context.Context, kind string, rows int64) (string, error) {
	earlier, err := r.store.MaxRows(ctx, r.task, kind)
	if err != nil {
		return "", fmt.Errorf("earlier audits: %w", err)
	}
	return refuseDeletions(kind, rows, earlier, r.config.MaxShrink), nil
}

// auditKinds audits one kind after the other. An error of one kind does not end the audit of the others.
func (r *run) auditKinds(ctx context.Context) {
	for n, i := range r.inventories {
		r.remaining = len(r.inventories) - 1 - n
		k := admin.Kind{Kind: i.Kind()}
		if err := r.auditKind(ctx, i, &k); err != nil {
			k.Error = "the audit of this kind failed, see the log"
			r.log.Warn("audit of a kind failed", zap.String("kind", k.Kind), logging.Error(err))
			r.errs = append(r.errs, fmt.Errorf("%s: %w", k.Kind, err))
		}
		r.audit.Kinds = append(r.audit.Kinds, k)
	}
}

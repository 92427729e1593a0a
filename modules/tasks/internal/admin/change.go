package admin

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"app238.com/inner/modules/tasks/internal/store"
	"app238.com/inner/modules/tasks/job"
)

const (
	noSuchTask = "no such task"
	cancelled  = "cancelled by an operator"
)

// operation is a change that operators make to tasks.
type operation struct {
	// from are the states in which it is possible, and to is the state afterwards.
	from []store.Status
	to   store.Status
	// selected are the states that a filter selects: its own, or these. A task that left them since is not changed.
	selected []store.Status
	// detail is written to the task.
	detail string
	// write makes the change if the task is in the observed state.
	write func(ctx context.Context, id int64, observed store.Status, detail string) (bool, error)
	// prepare, if set, is called before each change. It returns what is to be called after it, or why the change is refused.
	prepare func(ctx context.Context, observed store.View) (after func(context.Context) error, refusal string, err error)
	// refusal says why it is not possible in another state.
	refusal func(store.Status) string
}

// Retry implements job.Admin.
func (a *Admin) Retry(ctx context.Context, s job.Selection) ([]job.Change, error) {
	return a.changeAll(ctx, s, operation{
		from: []store.Status{store.Failed, store.Cancelled, store.Superseded}, to: store.Pending,
		selected: []store.Status{store.Failed},
		detail:   "retried by an operator", write: a.store.Retry, refusal: retryRefusal,
	})
}

// Cancel implements job.Admin.
func (a *Admin) Cancel(ctx context.Context, s job.Selection) ([]job.Change, error) {
	return a.changeAll(ctx, s, operation{
		from: []store.Status{store.Pending, store.Waiting}, to: store.Cancelled,
		selected: []store.Status{store.Pending, store.Waiting},
		detail:   cancelled, write: a.store.Cancel, prepare: a.prepareDiscarded, refusal: cancelRefusal,
	})
}

// prepareDiscarded prepares the call of OnDiscarded of a cancelled task's job, as after a failure.
func (a *Admin) prepareDiscarded(ctx context.Context, observed store.View) (func(context.Context) error, string, error) {
	nothing := func(context.Context) error { return nil }
	definition, ok := a.registry.Find(observed.Type)
	if !ok {
		return nothing, "", nil // the job type is unknown to this version
	}
	_, payload, _, err := a.store.Details(ctx, observed.ID)
	if err != nil {
		return nil, "", err
	}
	if payload.Info == nil {
		return nil, "not cancelled: its row could not get the reason, as its payload is encrypted with a key that " +
			"tasks.encryptionKeys does not have here", nil
	}
	prepared, err := definition.Prepare(payload.Info)
	if err != nil {
		return nothing, "", nil //nolint:nilerr // no row belongs to an invalid payload
	}
	task := job.Task{ID: observed.ID, Type: observed.Type, Attempt: observed.Attempts}
	return func(ctx context.Context) error {
		if err := prepared.OnDiscarded(ctx, task, cancelled); err != nil {
			return fmt.Errorf("the task is cancelled, but its row did not get the reason: %w", err)
		}
		return nil
	}, "", nil
}

func retryRefusal(s store.Status) string {
	if s == store.Finished {
		return "not retried: it finished"
	}
	return fmt.Sprintf("not retried: it is %s and has not ended", s)
}

func cancelRefusal(s store.Status) string {
	if s == store.Processing {
		return "not cancelled: it is processing, and a running job is not interrupted; wait until it has ended or is pending again"
	}
	return fmt.Sprintf("not cancelled: it ended already, as %s", s)
}

// changeAll changes each task separately, so that one that cannot be changed does not block the others. It ends at the first that
// could be neither read nor written.
func (a *Admin) changeAll(ctx context.Context, s job.Selection, o operation) ([]job.Change, error) {
	changes := []job.Change{}
	if s.Filter.Status != "" {
		o.selected = []store.Status{store.Status(s.Filter.Status)}
	}
	ids, err := a.selected(ctx, s, o)
	if err != nil {
		return changes, err
	}
	if len(s.IDs) > 0 {
		o.selected = o.from
	}
	if s.DryRun {
		o.write = nil
	}
	var failed []error
	for _, id := range ids {
		c, err := a.change(ctx, id, o)
		if err != nil {
			failed = append(failed, fmt.Errorf("task %d: %w", id, err))
		}
		if c.ID == 0 { // it could be neither read nor written
			break
		}
		changes = append(changes, c)
	}
	return changes, errors.Join(failed...)
}

// selected returns the ids of the selected tasks, those of a filter oldest first.
func (a *Admin) selected(ctx context.Context, s job.Selection, o operation) ([]int64, error) {
	if err := s.Validate(); err != nil {
		return nil, err
	}
	if len(s.IDs) > 0 {
		return s.IDs, nil
	}
	var ids []int64
	for _, status := range o.selected {
		f := s.Filter
		f.Status, f.Limit = string(status), job.MaxPage
		for f.Before = math.MaxInt64; f.Before != 0; {
			page, err := a.List(ctx, f)
			if err != nil {
				return nil, err
			}
			for _, t := range page.Tasks {
				ids = append(ids, t.ID)
			}
			f.Before = page.Next
		}
	}
	slices.Sort(ids)
	return ids, nil
}

func (a *Admin) change(ctx context.Context, id int64, o operation) (job.Change, error) {
	for {
		view, err := a.store.View(ctx, id)
		switch {
		case errors.Is(err, store.ErrNotFound):
			return job.Change{ID: id, Text: noSuchTask}, nil
		case err != nil:
			return job.Change{}, err
		}
		c := job.Change{ID: id, Status: string(view.Status)}
		after, refusal, err := a.prepare(ctx, view, o)
		if err != nil {
			return job.Change{}, err
		}
		if refusal != "" {
			c.Text = refusal
			return c, nil
		}
		if o.write == nil {
			c.Text = fmt.Sprintf("is %s, would be %s", view.Status, o.to)
			return c, nil
		}
		done, err := o.write(ctx, id, view.Status, o.detail)
		if err != nil {
			return job.Change{}, err
		}
		if done {
			c = job.Change{ID: id, Changed: true, Status: string(o.to), Text: fmt.Sprintf("was %s, is %s now", view.Status, o.to)}
			return c, after(ctx)
		}
		// The task has changed meanwhile: observe it again.
	}
}

// prepare returns what is to be called after the change of a task, or why it is not changed.
func (a *Admin) prepare(ctx context.Context, observed store.View, o operation) (func(context.Context) error, string, error) {
	switch {
	case !slices.Contains(o.from, observed.Status):
		return nil, o.refusal(observed.Status), nil
	case !slices.Contains(o.selected, observed.Status):
		return nil, fmt.Sprintf("not changed: it is %s now, which was not selected", observed.Status), nil
	case o.prepare == nil:
		return func(context.Context) error { return nil }, "", nil
	}
	return o.prepare(ctx, observed)
}

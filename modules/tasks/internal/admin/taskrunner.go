// Package runner runs a single task in this process and waits for its end.
package admin

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"app238.com/inner/modules/tasks/internal/processor"
	"app238.com/inner/modules/tasks/internal/queue"
	"app238.com/inner/modules/tasks/internal/registry"
	"app238.com/inner/modules/tasks/internal/store"
	"app238.com/inner/modules/tasks/job"
)

// lastLook bounds the look at the task after the time for it is up.
const finalViewTimeout = 5 * time.Second

// Runner implements job.Runner and job.TaskRunner.
type TaskRunner struct {
	registry  *registry.Registry
	queue     *queue.Queue
	processor *processor.Processor
	store     *store.Store
}

// New returns a Runner.
func NewTaskRunner(r *registry.Registry, q *queue.Queue, p *processor.Processor, s *store.Store) *TaskRunner {
	return &TaskRunner{registry: r, queue: q, processor: p, store: s}
}

// Types implements job.Runner.
func (r *TaskRunner) Types() []string { return r.registry.Types() }

// Run implements job.Runner.
func (r *TaskRunner) Run(ctx context.Context, jobType string, info []byte, progress func(int64, string)) error {
	if _, err := r.findType(jobType); err != nil {
		return err
	}
	id, err := r.queue.AcceptInfo(ctx, jobType, info, "")
	switch {
	case err != nil && ctx.Err() != nil:
		return job.NewTerminal("%s: it is not known whether the task was accepted", endReason(ctx))
	case err != nil:
		return err
	}
	progress(id, "accepted")
	return r.follow(ctx, id, progress)
}

// RunTask implements job.TaskRunner.
func (r *TaskRunner) RunTask(ctx context.Context, id int64, jobType string, progress func(int64, string)) error {
	view, err := r.store.View(ctx, id)
	if err != nil {
		return notStarted(ctx, id, err)
	}
	if jobType != "" {
		definition, err := r.findType(jobType)
		if err != nil {
			return err
		}
		if view.Type != definition.Type {
			return job.NewTerminal("task %d is a %s, not a %s", id, view.Type, definition.Type)
		}
	}
	if err := checkRunnable(view); err != nil {
		return err
	}
	due, err := r.store.MakeDue(ctx, id)
	if err != nil {
		return notStarted(ctx, id, err)
	}
	if due {
		progress(id, "made due: it was "+describe(view))
	}
	return r.follow(ctx, id, progress)
}

func (r *TaskRunner) findType(jobType string) (job.Definition, error) {
	definition, ok := r.registry.Find(jobType)
	if !ok {
		return definition, job.NewTerminal("unknown job type %q; the known ones are %s", jobType, strings.Join(r.Types(), ", "))
	}
	return definition, nil
}

// startable refuses tasks that are not there to be begun.
func checkRunnable(v store.View) error {
	switch {
	case v.Status == store.Processing:
		return job.NewTerminal("task %d is being processed already", v.ID)
	case v.Status.Ended():
		return job.NewTerminal("task %d has ended as %s", v.ID, v.Status)
	}
	return nil
}

// follow has the task run when its turn comes and tells how it fares.
func (r *TaskRunner) follow(ctx context.Context, id int64, progress func(int64, string)) error {
	last := "pending: accepted" // is told already
	view, err := r.processor.RunTask(ctx, id, func(v store.View) {
		if text := describe(v); text != last {
			last = text
			progress(id, text)
		}
	})
	if ctx.Err() != nil && !view.Status.Ended() {
		// The job may have ended while it was cancelled, and what did not was returned to the queue.
		look, cancel := context.WithTimeout(context.WithoutCancel(ctx), finalViewTimeout)
		defer cancel()
		view, err = r.store.View(look, id)
		if err != nil || !view.Status.Ended() {
			return leftInQueue(ctx, id, view, err)
		}
	}
	if err != nil {
		return fmt.Errorf("task %d: %w", id, err)
	}
	if view.Status != store.Finished {
		return job.NewTerminal("task %d ended as %s", id, describe(view))
	}
	return nil
}

// stays says that the task is not lost because nobody waits for it any more.
func leftInQueue(ctx context.Context, id int64, v store.View, err error) error {
	state := "the database does not answer"
	if err == nil {
		state = describe(v)
	}
	return job.NewTerminal("%s: task %d stays in the queue (%s)", endReason(ctx), id, state)
}

// fault says of a task that was not begun why.
func notStarted(ctx context.Context, id int64, err error) error {
	if ctx.Err() != nil {
		return job.NewTerminal("%s: task %d was not begun", endReason(ctx), id)
	}
	return fmt.Errorf("task %d: %w", id, err)
}

// over says in words why ctx ended.
func endReason(ctx context.Context) string {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return "the time is up"
	}
	return "interrupted"
}

// describe says in words what a task's row says.
func describe(v store.View) string {
	text := string(v.Status)
	if v.Detail != "" && v.Detail != text {
		text += ": " + v.Detail
	}
	if v.LastError != "" && v.LastError != v.Detail {
		text += ": " + v.LastError
	}
	return text
}

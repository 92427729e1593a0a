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

// finalViewTimeout limits reading the task once more after the time for it is up.
const finalViewTimeout = 5 * time.Second

// TaskRunner implements job.Runner and job.TaskRunner: it runs single tasks in this process.
type TaskRunner struct {
	registry  *registry.Registry
	queue     *queue.Queue
	processor *processor.Processor
	store     *store.Store
}

// NewTaskRunner returns a TaskRunner.
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
		return job.NewTerminal("%s: the task may or may not have been accepted", endReason(ctx))
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
		return startError(ctx, id, err)
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
		return startError(ctx, id, err)
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

// checkRunnable returns an error if a task cannot be started.
func checkRunnable(v store.View) error {
	switch {
	case v.Status == store.Processing:
		return job.NewTerminal("task %d is already processing", v.ID)
	case v.Status.Ended():
		return job.NewTerminal("task %d has ended as %s", v.ID, v.Status)
	}
	return nil
}

// follow runs the task when its turn comes and reports its states.
func (r *TaskRunner) follow(ctx context.Context, id int64, progress func(int64, string)) error {
	last := "pending: accepted" // reported already
	view, err := r.processor.RunTask(ctx, id, func(v store.View) {
		if text := describe(v); text != last {
			last = text
			progress(id, text)
		}
	})
	if ctx.Err() != nil && !view.Status.Ended() {
		// The job may have finished despite the cancellation; otherwise its task was returned to the queue.
		viewCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), finalViewTimeout)
		defer cancel()
		view, err = r.store.View(viewCtx, id)
		if err != nil {
			return leftInQueue(ctx, id, "the database does not answer")
		}
		if !view.Status.Ended() {
			return leftInQueue(ctx, id, describe(view))
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

// leftInQueue returns the error of an interrupted run: the task stays in the queue.
func leftInQueue(ctx context.Context, id int64, state string) error {
	return job.NewTerminal("%s: task %d stays in the queue (%s)", endReason(ctx), id, state)
}

// startError returns the error of a task that was not started.
func startError(ctx context.Context, id int64, err error) error {
	if ctx.Err() != nil {
		return job.NewTerminal("%s: task %d was not started", endReason(ctx), id)
	}
	return fmt.Errorf("task %d: %w", id, err)
}

// endReason says in words why ctx ended.
func endReason(ctx context.Context) string {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return "the time is up"
	}
	return "interrupted"
}

// describe returns the state of a task in words.
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

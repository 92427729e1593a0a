// Package runner runs a single task in this process and waits for its end.
package runner

import (
	"context"

	"app238.com/inner/modules/tasks/internal/processor"
	"app238.com/inner/modules/tasks/internal/queue"
	"app238.com/inner/modules/tasks/internal/registry"
	"app238.com/inner/modules/tasks/internal/store"
	"app238.com/inner/modules/tasks/job"
)

// Runner implements job.Runner.
type Runner struct {
	registry  *registry.Registry
	queue     *queue.Queue
	processor *processor.Processor
}

// New returns a Runner.
func New(r *registry.Registry, q *queue.Queue, p *processor.Processor) *Runner {
	return &Runner{registry: r, queue: q, processor: p}
}

// Types implements job.Runner.
func (r *Runner) Types() []string { return r.registry.Types() }

// Run implements job.Runner.
func (r *Runner) Run(ctx context.Context, jobType string, info []byte, progress func(int64, string)) error {
	id, err := r.queue.AcceptInfo(ctx, jobType, info, "")
	if err != nil {
		return err
	}
	progress(id, "accepted")
	last := ""
	view, err := r.processor.Attend(ctx, id, func(v store.View) {
		if text := string(v.Status) + ": " + v.Detail; text != last {
			last = text
			progress(id, text)
		}
	})
	if err != nil {
		return err
	}
	if view.Status != store.Finished {
		return job.NewPermanent("task %d ended as %s: %s", id, view.Status, view.Detail)
	}
	return nil
}

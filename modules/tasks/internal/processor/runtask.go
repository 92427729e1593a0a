package processor

import (
	"context"
	"time"

	"app238.com/inner/app/database"
	"app238.com/inner/app/logging"
	"app238.com/inner/modules/tasks/internal/store"
)

// runTaskPollInterval is the delay before the state of a task is read again that this process cannot run yet.
const runTaskPollInterval = 200 * time.Millisecond

// RunTask runs one task in this process when its turn comes, and returns it once it has ended, whichever process ran
// it. It must not be used on a started processor. Report is called with the task's row. An unavailable database is
// waited for. When ctx ends first, the job is cancelled and the task returned to the queue; if the job does not stop,
// another process recovers the task later.
func (p *Processor) RunTask(ctx context.Context, id int64, report func(store.View)) (store.View, error) {
	running := p.startBackground()
	defer context.AfterFunc(ctx, func() {
		p.stopRunning()
		time.AfterFunc(stopWaitingAfter, p.stopWaiting)
	})()
	defer func() { _ = p.stopBackground() }() // a job that does not stop is logged
	timer := time.NewTimer(runTaskPollInterval)
	defer timer.Stop()
	for {
		view, err := p.runTaskOnce(ctx, running, id, report)
		switch {
		case err == nil && view.Status.Ended():
			return view, nil
		case ctx.Err() != nil:
			return view, ctx.Err()
		case err != nil && !database.IsUnavailable(err):
			return view, err
		case err != nil:
			p.log.Warn("task could not be read", logging.Error(err))
		}
		timer.Reset(runTaskPollInterval)
		select {
		case <-ctx.Done():
		case <-p.tracker.Notified(): // a lease began, or the task was requeued
		case <-timer.C:
		}
	}
}

// runTaskOnce reads the task and runs it if it is its turn.
func (p *Processor) runTaskOnce(ctx, running context.Context, id int64, report func(store.View)) (store.View, error) {
	process, ok := p.tracker.Current()
	if ok {
		// After a claim whose answer was lost, this process may own the task without knowing it.
		err := p.tracker.ResolveUncertain(func(tracked []store.ClaimKey) error {
			_, err := p.store.ReturnAllExcept(ctx, process, tracked)
			return err
		})
		if err != nil {
			return store.View{}, err
		}
	}
	view, err := p.store.View(ctx, id)
	if err != nil {
		return view, err
	}
	if !ok || view.Status != store.Pending {
		report(view)
		return view, nil
	}
	claimed, err := p.claimTask(ctx, process, id)
	if err != nil {
		return view, err
	}
	if len(claimed) == 0 {
		view.Detail += " (not its turn yet)"
		report(view)
		return view, nil
	}
	for _, c := range claimed {
		view.Status, view.Detail, view.LastError = store.Processing, "runs in this process", ""
		report(view)
		p.runGuarded(running, c, func() (end func()) { return func() {} })
	}
	return view, nil
}

// claimTask claims a task, to be run at once, if it is its turn.
func (p *Processor) claimTask(ctx context.Context, process string, id int64) ([]store.Claim, error) {
	defer p.tracker.BeginClaim()()
	claimed, err := p.store.ClaimTasks(ctx, process, id)
	if err != nil && !database.IsRefused(err) {
		p.tracker.MarkUncertain()
	}
	p.tracker.Acquire(claimed...)
	return claimed, err
}

package processor

import (
	"context"
	"time"

	"app238.com/inner/app/database"
	"app238.com/inner/app/logging"
	"app238.com/inner/modules/tasks/internal/store"
)

// attendPause is the wait between two looks at a task that is not ours to run at the moment.
const runTaskPollInterval = 200 * time.Millisecond

// Attend runs one task in this process when its turn comes, and returns it once it has ended, whoever ran it. It is for
// a processor that is not started. report is told what the task's row says. A database that is away for a while is waited
// for. When ctx ends before the task, its job is cancelled and it is returned to the queue; where the job does not end, it is left
// to the takeover.
func (p *Processor) RunTask(ctx context.Context, id int64, report func(store.View)) (store.View, error) {
	running := p.startBackground()
	defer context.AfterFunc(ctx, func() {
		p.stopRunning()
		time.AfterFunc(stopWaitingAfter, p.stopWaiting)
	})()
	defer func() { _ = p.stopBackground() }() // a job that has not ended is told of by the log
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
			p.log.Warn("the task cannot be looked at", logging.Error(err))
		}
		timer.Reset(runTaskPollInterval)
		select {
		case <-ctx.Done():
		case <-p.tracker.Notified(): // there is a lease to claim under, or the task was put off
		case <-timer.C:
		}
	}
}

// attendOnce looks at the task and runs it if it is its turn.
func (p *Processor) runTaskOnce(ctx, running context.Context, id int64, report func(store.View)) (store.View, error) {
	process, ok := p.tracker.Current()
	if ok {
		// After a claim whose answer was lost, the task may be this process's without it knowing.
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
		p.runGuarded(running, c)
	}
	return view, nil
}

// acquire claims a task if it is its turn, to be run at once.
func (p *Processor) claimTask(ctx context.Context, process string, id int64) ([]store.Claim, error) {
	defer p.tracker.BeginClaim()()
	claimed, err := p.store.ClaimTasks(ctx, process, id)
	if err != nil && !database.IsRefused(err) {
		p.tracker.MarkUncertain()
	}
	p.tracker.Acquire(claimed...)
	return claimed, err
}

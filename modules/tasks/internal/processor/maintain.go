package processor

import (
	"context"
	"errors"
	"time"

	"go.uber.org/zap"

	"app238.com/inner/app/guard"
	"app238.com/inner/app/logging"
	"app238.com/inner/modules/tasks/internal/claims"
	"app238.com/inner/modules/tasks/internal/store"
)

// hastenEvery is how many takeover times apart a process looks for tasks that a step of the clock holds up, for which it reads
// all that are pending, and for those that the database says it runs and it does not.
const rescheduleFactor = 4

// sweep puts right, until ctx ends, what nobody else does: see the functions that it calls.
func (p *Processor) maintain(ctx context.Context) {
	observer := claims.NewObserver(p.config.TakeoverAfter)
	var rescheduled time.Time
	for sleep(ctx, min(p.config.HeartbeatInterval, p.config.PollInterval)) {
		if _, ok := p.tracker.Current(); !ok {
			continue
		}
		parts := []func(context.Context) (int64, error){
			func(ctx context.Context) (int64, error) { return p.recover(ctx, observer) },
			p.returnUntracked,
		}
		if time.Since(rescheduled) > rescheduleFactor*p.config.TakeoverAfter {
			rescheduled = time.Now()
			parts = append(parts, p.reschedule)
			p.tracker.RequestReview()
		}
		var ready int64
		var failures []error
		for _, part := range parts {
			failures = append(failures, guard.Call(func() error {
				n, err := part(ctx)
				ready += n
				return err
			}))
		}
		if err := errors.Join(failures...); err != nil && ctx.Err() == nil {
			p.log.Warn("sweep failed", logging.Error(err))
		}
		if ready > 0 {
			p.tracker.Notify()
		}
	}
}

// recover takes over the tasks of processes that have been silent for as long as this one has looked at them, and wakes parked
// ones whose recheck is due. A process that is idle sees all that when it looks for tasks, and one that is busy asks now and then.
func (p *Processor) recover(ctx context.Context, observer *claims.Observer) (total int64, err error) {
	polled := p.polled.Swap(nil)
	if polled == nil && time.Since(observer.Last()) < p.config.HeartbeatInterval {
		return 0, nil
	}
	if polled == nil {
		now, err := p.store.Poll(ctx, nil)
		if err != nil {
			return 0, err
		}
		polled = &now
	}
	self, ok := p.tracker.Current()
	silent := observer.Observe(polled.Processes, self, polled.SentAt, polled.ReceivedAt)
	if !ok {
		return 0, nil
	}
	var faults []error
	if polled.RecheckDue {
		total, err = p.store.ResumeDue(ctx)
		faults = append(faults, err)
	}
	for _, process := range silent {
		n, err := p.store.Recover(ctx, process)
		faults = append(faults, err)
		if total += n; n > 0 {
			p.metrics.Recovered.Add(float64(n))
			p.log.Warn("took over tasks of processes that ended", zap.Int64("tasks", n), zap.String("process", process.ID))
		}
	}
	return total, errors.Join(faults...)
}

// giveBack returns claims to the queue that are this process's by the database and that nobody here holds.
func (p *Processor) returnUntracked(ctx context.Context) (returned int64, err error) {
	err = p.tracker.ResolveUncertain(func(tracked []store.ClaimKey) error {
		// The identity may have changed since this sweep began.
		id, ok := p.tracker.Current()
		if !ok {
			return errors.New("the lease ran out")
		}
		returned, err = p.store.ReturnAllExcept(ctx, id, tracked)
		return err
	})
	return returned, err
}

// hasten makes due what would wait longer than anything is put off for.
func (p *Processor) reschedule(ctx context.Context) (int64, error) {
	n, err := p.store.Reschedule(ctx, p.config.LongestWait())
	if n > 0 {
		p.metrics.Rescheduled.Add(float64(n))
		p.log.Warn("made tasks due that were put off for longer than any is: the database's clock was set back", zap.Int64("tasks", n))
	}
	return n, err
}

// returnStale gives back, until ctx ends, what waits for a worker of this process for so long that others should have it.
func (p *Processor) returnStale(ctx context.Context) {
	for sleep(ctx, claims.StaleAfter) {
		stale := p.tracker.TakeStale()
		if len(stale) == 0 {
			continue
		}
		if err := p.returnClaims(ctx, stale); err != nil && ctx.Err() == nil {
			p.log.Warn("tasks that wait for a worker could not be returned yet", zap.Int("tasks", len(stale)), logging.Error(err))
		}
		p.tracker.Notify()
	}
}

// giveUpClaims gives back claims that are in the book no more. Where that fails the sweep does it.
func (p *Processor) returnClaims(ctx context.Context, given []store.Claim) error {
	return guard.Call(func() error {
		n, err := p.store.Return(ctx, given)
		if err != nil {
			p.tracker.MarkUncertain()
			return err
		}
		p.log.Info("tasks that waited for a worker were returned", zap.Int64("returned", n))
		return nil
	})
}

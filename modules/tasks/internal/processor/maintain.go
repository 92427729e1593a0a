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

// rescheduleFactor is the interval, as a multiple of the takeover time, at which this process reschedules tasks that a
// clock step delays, which reads all pending tasks, and reviews the claims that the database says it has.
const rescheduleFactor = 4

// maintain recovers, returns and reschedules tasks until ctx ends.
func (p *Processor) maintain(ctx context.Context) {
	observer := claims.NewObserver(p.config.TakeoverAfter)
	var rescheduled time.Time
	for sleep(ctx, min(p.config.HeartbeatInterval, p.config.PollInterval)) {
		if _, ok := p.tracker.Current(); !ok {
			continue
		}
		steps := []func(context.Context) (int64, error){
			func(ctx context.Context) (int64, error) { return p.recover(ctx, observer) },
			p.returnUntracked,
		}
		if time.Since(rescheduled) > rescheduleFactor*p.config.TakeoverAfter {
			rescheduled = time.Now()
			steps = append(steps, p.reschedule)
			p.tracker.RequestReview()
		}
		var ready int64
		var errs []error
		for _, step := range steps {
			errs = append(errs, guard.Call(func() error {
				n, err := step(ctx)
				ready += n
				return err
			}))
		}
		if err := errors.Join(errs...); err != nil && ctx.Err() == nil {
			p.log.Warn("maintenance failed", logging.Error(err))
		}
		if ready > 0 {
			p.tracker.Notify()
		}
	}
}

// recover recovers the tasks of processes that have died, as observed by this one, and resumes parked tasks whose
// recheck is due. It uses the last poll; a process that is too busy to poll reads them now and then.
func (p *Processor) recover(ctx context.Context, observer *claims.Observer) (total int64, err error) {
	polled := p.polled.Swap(nil)
	if polled == nil && time.Since(observer.Last()) < p.config.HeartbeatInterval {
		return 0, nil
	}
	if polled == nil {
		current, err := p.store.Poll(ctx, nil, nil, false)
		if err != nil {
			return 0, err
		}
		polled = &current
	}
	self, ok := p.tracker.Current()
	dead := observer.Observe(*polled, self)
	if !ok {
		return 0, nil
	}
	var errs []error
	if polled.RecheckDue {
		total, err = p.store.ResumeDue(ctx)
		errs = append(errs, err)
	}
	for _, process := range dead {
		n, err := p.store.Recover(ctx, process)
		errs = append(errs, err)
		if total += n; n > 0 {
			p.metrics.Recovered.Add(float64(n))
			p.log.Warn("recovered tasks of a dead process", zap.Int64("tasks", n), zap.String("process", process.ID))
		}
	}
	return total, errors.Join(errs...)
}

// returnUntracked returns claims to the queue that this process owns in the database and does not track, as soon as no statement
// that claims is running.
func (p *Processor) returnUntracked(ctx context.Context) (returned int64, err error) {
	err = p.tracker.ResolveUncertainLater(p.returnExcept(ctx, &returned))
	return returned, err
}

// returnExcept returns what returns all claims but the tracked ones, and counts them.
func (p *Processor) returnExcept(ctx context.Context, returned *int64) func(tracked []store.ClaimKey) error {
	return func(tracked []store.ClaimKey) (err error) {
		// The identity may have changed meanwhile.
		id, ok := p.tracker.Current()
		if !ok {
			return errors.New("the lease has expired")
		}
		*returned, err = p.store.ReturnAllExcept(ctx, id, tracked)
		return err
	}
}

// reschedule makes tasks due whose delay is longer than any that is set.
func (p *Processor) reschedule(ctx context.Context) (int64, error) {
	n, err := p.store.Reschedule(ctx, p.config.LongestWait())
	if n > 0 {
		p.metrics.Rescheduled.Add(float64(n))
		p.log.Warn("delayed tasks rescheduled: the database's clock was set back", zap.Int64("tasks", n))
	}
	return n, err
}

// returnStale returns claims that wait too long for a worker of this process, until ctx ends.
func (p *Processor) returnStale(ctx context.Context) {
	for sleep(ctx, claims.AdaptInterval) {
		stale := p.tracker.TakeStale()
		if len(stale) == 0 {
			continue
		}
		if err := p.returnClaims(ctx, stale); err != nil && ctx.Err() == nil {
			p.log.Warn("stale claims could not be returned yet", zap.Int("tasks", len(stale)), logging.Error(err))
		}
		p.tracker.Notify()
	}
}

// returnClaims returns claims that are no longer tracked. If that fails, maintain returns them.
func (p *Processor) returnClaims(ctx context.Context, untracked []store.Claim) error {
	return guard.Call(func() error {
		n, err := p.store.Return(ctx, untracked)
		if err != nil {
			p.tracker.MarkUncertain()
			return err
		}
		p.log.Info("waiting claims returned", zap.Int64("returned", n))
		return nil
	})
}

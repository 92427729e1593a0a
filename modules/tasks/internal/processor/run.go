package processor

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime/debug"
	"time"

	"go.uber.org/zap"

	"app238.com/inner/app/observe"
	"app238.com/inner/modules/tasks/internal/store"
	"app238.com/inner/modules/tasks/job"
)

// giveUpTimeout bounds the hook that writes a task's failure to the row it was about.
const giveUpTimeout = 15 * time.Second

// recordPause is the wait between two tries to write a result while the database is away.
const recordPause = 500 * time.Millisecond

// work runs buffered tasks until claiming ends; running ends the one under way.
func (p *Processor) work(claiming, running context.Context) {
	for {
		select {
		case <-claiming.Done():
			return
		default:
		}
		select {
		case <-claiming.Done():
			return
		case c := <-p.buffer:
			p.runOne(running, c)
			p.nudge()
		}
	}
}

// runOne executes a task and writes its result.
func (p *Processor) runOne(running context.Context, c store.Claim) {
	leased, ok := p.lease.hold(c.Process)
	if !ok {
		return // left to the takeover
	}
	log := p.jobLog.With(zap.Int64("task", c.ID), zap.String("type", c.Type), zap.Int("attempt", c.Attempts+1))
	begin := time.Now()
	definition, known := p.registry.Find(c.Type)
	if !known {
		p.record(running, log, c, store.Failed, "no job of this type in this version of Inner", 0)
		return
	}
	prepared, err := definition.Prepare(c.Info)
	if err != nil {
		p.record(running, log, c, store.Failed, err.Error(), 0)
		return
	}
	task := job.Task{ID: c.ID, Type: c.Type, Attempt: c.Attempts + 1}
	err = p.execute(leased, running, definition, prepared, task)
	log = log.With(zap.Duration("took", time.Since(begin)))
	if err == nil {
		p.record(running, log, c, store.Finished, "finished", 1)
		log.Info("task finished")
		return
	}
	if running.Err() != nil || leased.Err() != nil {
		log.Info("task interrupted", observe.Error(err))
		return // returned to the queue by Stop, or left to the takeover
	}
	p.conclude(running, log, definition, prepared, c, task, job.AsError(err))
}

// execute runs the job with its time limit, and makes an error of a panic.
func (p *Processor) execute(leased, running context.Context, d job.Definition, prepared job.Prepared, task job.Task) (err error) {
	limit := d.Timeout
	if limit == 0 {
		limit = p.config.JobTimeout
	}
	ctx, cancel := context.WithTimeout(leased, limit)
	defer cancel()
	defer context.AfterFunc(running, cancel)()
	defer func() {
		if r := recover(); r != nil {
			p.jobLog.Error("job panicked", zap.Int64("task", task.ID), zap.String("type", task.Type),
				zap.String("panic", observe.Redact(fmt.Sprint(r))), zap.ByteString("stack", debug.Stack()))
			err = job.NewFailed("the job panicked, see the log", nil)
		}
	}()
	err = prepared.Execute(ctx, task)
	if err != nil && errors.Is(ctx.Err(), context.DeadlineExceeded) && !isJobError(err) {
		err = job.NewFailed(fmt.Sprintf("the job took longer than %s", limit), err)
	}
	return err
}

func isJobError(err error) bool {
	var e *job.Error
	return errors.As(err, &e)
}

// conclude writes what becomes of a task whose execution returned an error.
func (p *Processor) conclude(ctx context.Context, log *zap.Logger, d job.Definition, prepared job.Prepared, c store.Claim, task job.Task, e *job.Error) {
	limit := d.Attempts
	if limit == 0 {
		limit = p.config.Attempts
	}
	switch {
	case e.Kind == job.Parked:
		log.Info("task parked", zap.String("for", e.Text))
		p.write(ctx, log, func(ctx context.Context) error { return p.store.Park(ctx, c, e.Text, p.config.ParkedRecheck) })
	case e.Kind == job.Later:
		log.Info("task put off", zap.String("why", e.Text), zap.Duration("for", e.After), observe.Error(e.Cause))
		p.write(ctx, log, func(ctx context.Context) error { return p.store.Again(ctx, c, e.Text, "", 0, jitter(e.After)) })
	case e.Kind == job.Superseded:
		log.Info("task superseded", zap.String("why", e.Text))
		p.record(ctx, log, c, store.Superseded, e.Text, 1)
	case e.Kind == job.Permanent || task.Attempt >= limit:
		p.giveUp(ctx, log, prepared, c, task, e)
	default:
		wait := jitter(p.backoff(task.Attempt))
		log.Warn("attempt failed", observe.Error(e), zap.Duration("next_in", wait))
		p.write(ctx, log, func(ctx context.Context) error {
			return p.store.Again(ctx, c, "attempt failed, will be tried again", e.Text, 1, wait)
		})
	}
}

// giveUp ends a task as an error, after the row that it was about was told. Where that cannot be written now the task
// is run again, so that the two do not part.
func (p *Processor) giveUp(running context.Context, log *zap.Logger, prepared job.Prepared, c store.Claim, task job.Task, e *job.Error) {
	ctx, cancel := context.WithTimeout(running, giveUpTimeout)
	defer cancel()
	if err := prepared.GiveUp(ctx, task, e.Text); err != nil {
		log.Error("failure could not be written to the row it is about", observe.Error(err))
		p.write(running, log, func(ctx context.Context) error {
			return p.store.Again(ctx, c, "failed, to be recorded", e.Text, 0, jitter(p.config.RetryDelay))
		})
		return
	}
	log.Error("task failed", observe.Error(e))
	p.record(running, log, c, store.Failed, e.Text, 1)
}

// record writes a task's last state.
func (p *Processor) record(ctx context.Context, log *zap.Logger, c store.Claim, status store.Status, detail string, attempts int) {
	lastError := ""
	if status == store.Failed {
		lastError = detail
	}
	p.write(ctx, log, func(ctx context.Context) error {
		return p.store.End(ctx, c, status, detail, lastError, attempts)
	})
}

// write repeats a write until it succeeds, or the claim is lost, or the process ends: a result is not dropped because
// the database is away for a while.
func (p *Processor) write(ctx context.Context, log *zap.Logger, write func(context.Context) error) {
	for {
		err := write(context.WithoutCancel(ctx))
		switch {
		case err == nil:
			return
		case errors.Is(err, store.ErrLostClaim):
			log.Warn("result dropped: the task was taken over")
			return
		}
		log.Warn("result could not be written yet", observe.Error(err))
		if !pause(ctx, recordPause) {
			return
		}
	}
}

// backoff doubles with every attempt up to the configured most.
func (p *Processor) backoff(attempt int) time.Duration {
	wait := p.config.RetryDelay
	for range attempt - 1 {
		if wait *= 2; wait >= p.config.RetryDelayMax {
			return p.config.RetryDelayMax
		}
	}
	return wait
}

// jitter spreads waits over plus or minus a fifth, so that what failed together does not come back together.
func jitter(d time.Duration) time.Duration {
	return time.Duration(float64(d) * (0.8 + 0.4*rand.Float64()))
}

package processor

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.uber.org/zap"

	"app238.com/inner/app/config"
	"app238.com/inner/app/guard"
	"app238.com/inner/app/logging"
	"app238.com/inner/modules/tasks/internal/claims"
	"app238.com/inner/modules/tasks/internal/store"
	"app238.com/inner/modules/tasks/job"
)

const (
	// unrunnableDelay is the first delay before a task that this process cannot run, because the key or the job type is
	// unknown here, is retried. It doubles up to config.LongestSnooze: tasks with a longer delay are rescheduled.
	unrunnableDelay = 15 * time.Second
	// unrunnableMaxAge and unrunnableMaxClaims are the age and the number of claims up to which it is retried: another
	// process may be able to run it, or this one after a rollout. These claims are not attempts.
	unrunnableMaxAge    = 7 * time.Hour
	unrunnableMaxClaims = 90
)

// runWorker runs a lane's claims until claiming ends; running ends the one in progress.
func (p *Processor) runWorker(claiming, running context.Context, lane *claims.Lane) {
	for claiming.Err() == nil {
		select {
		case <-claiming.Done():
		case c := <-lane.Claims():
			p.tracker.ReleaseSlots(lane, 1)
			inDatabase := time.Duration(c.Age * float64(time.Second))
			done := lane.StartTask(inDatabase)
			active := p.metrics.ActiveWorkers.WithLabelValues(lane.Label())
			active.Inc()
			p.metrics.WaitTime.WithLabelValues(lane.Label()).Observe((inDatabase + time.Since(c.Since)).Seconds())
			p.tracker.Started(c)
			p.runGuarded(running, c, lane.StartJob)
			active.Dec()
			done()
			p.tracker.WorkerIdle(lane)
		}
	}
}

// execution is one execution of a task.
type execution struct {
	claim      store.Claim
	definition job.Definition
	prepared   job.Prepared
	task       job.Task
	took       time.Duration
	log        *zap.Logger // set by handleResult only: successful tasks need none
}

// logger returns a logger that names the task and hides its secrets.
func (p *Processor) logger(e execution) *zap.Logger {
	return p.jobLog.With(zap.Int64("task", e.task.ID), zap.String("type", e.task.Type), zap.Int("attempt", e.task.Attempt),
		zap.Duration("took", e.took), logging.Hiding(e.prepared.SecretValues()...))
}

// prepare returns the prepared task of a claim.
func prepare(d job.Definition, c store.Claim) (job.Prepared, error) {
	if c.Prepared != nil {
		return *c.Prepared, nil
	}
	return d.Prepare(c.Info)
}

// runGuarded is run, but turns a panic of a module's code into a failed task.
func (p *Processor) runGuarded(running context.Context, c store.Claim, startJob func() (end func())) {
	err := guard.Call(func() error {
		p.run(running, c, startJob)
		return nil
	})
	if err != nil {
		hiding := logging.Hiding(job.Prepared{Info: c.Info, Erased: []byte("{}")}.SecretValues()...) // any value may be secret
		p.jobLog.With(hiding).Error("task discarded", zap.Int64("task", c.ID), zap.String("type", c.Type), logging.Error(err))
		p.complete(c, store.Failed, internalErrorText, 1, "")
	}
}

// internalErrorText is the error that users see after a panic.
const internalErrorText = "internal error, see the log"

// run executes a task and has its result written. StartJob is called when the job starts, and what it returns when the
// job no longer needs the worker.
func (p *Processor) run(running context.Context, c store.Claim, startJob func() (end func())) {
	leased, ok := p.tracker.Context(c.Process)
	if !ok {
		p.tracker.Release(c)
		return // another process recovers the task
	}
	e := execution{claim: c, task: job.Task{ID: c.ID, Type: c.Type, Attempt: c.Attempts + 1}}
	if c.InfoErr != nil {
		p.snoozeUnrunnable(running, e, "the payload could not be read: "+c.InfoErr.Error())
		return
	}
	definition, known := p.registry.Find(c.Type)
	if !known {
		p.snoozeUnrunnable(running, e, "no job of this type in this version of Inner")
		return
	}
	prepared, err := prepare(definition, c)
	if err != nil {
		p.complete(c, store.Failed, err.Error(), 0, "")
		return
	}
	e.definition, e.prepared = definition, prepared
	if c.Takeovers >= p.config.MaxTakeovers {
		p.handleResult(running, e, job.NewTerminal("discarded: %d processes ended while running it", c.Takeovers))
		return
	}
	begin, endJob := time.Now(), sync.OnceFunc(startJob())
	defer endJob() // after a result that the worker writes itself
	p.metrics.Started.WithLabelValues(c.Type).Inc()
	ctx, endSpan := p.tracing.Continue(leased, c.TraceParent, c.Type, c.ID, e.task.Attempt)
	err = p.execute(ctx, running, e)
	endSpan(spanError(err))
	e.took = time.Since(begin)
	p.metrics.RunTime.WithLabelValues(c.Type).Observe(e.took.Seconds())
	switch {
	case errors.Is(err, errStillRunning):
		p.logger(e).Error(stillRunningText)
	case err == nil:
		p.jobLog.Info("task finished", zap.Int64("task", c.ID), zap.String("type", c.Type),
			zap.Int("attempt", e.task.Attempt), zap.Duration("took", e.took))
		endJob()
		p.completions <- store.Success(c) // blocks while the completer is behind
	case running.Err() != nil || leased.Err() != nil:
		p.logger(e).Info("task interrupted", logging.Error(err))
		p.tracker.Release(c) // returned to the queue by Stop, or recovered by another process
	default:
		p.handleResult(running, e, job.AsError(err))
	}
}

// snoozeUnrunnable snoozes a task that this process cannot run but another one may, or discards it in the end. The text
// says why it cannot run.
func (p *Processor) snoozeUnrunnable(running context.Context, x execution, text string) {
	p.metrics.Failed.WithLabelValues(x.task.Type).Inc()
	x.log = p.logger(x)
	if x.claim.Number >= unrunnableMaxClaims && x.claim.Age >= unrunnableMaxAge.Seconds() {
		x.log.Error("task discarded", zap.String("error", text))
		p.complete(x.claim, store.Failed, text, 1, "")
		return
	}
	delay := jitter(backoff(unrunnableDelay, config.LongestSnooze, x.claim.Number))
	x.log.Warn("task snoozed: this process cannot run it", zap.String("error", text), zap.Duration("next_in", delay))
	p.requeue(running, x, store.Completion{Claim: x.claim, Detail: text, LastError: text}, delay)
}

// spanError returns err if the execution failed, nil if it was snoozed, parked or superseded.
func spanError(err error) error {
	if err == nil {
		return nil
	}
	if e := job.AsError(err); e.Kind != job.Retry && e.Kind != job.Terminal {
		return nil
	}
	return err
}

// execute runs the job with its time limit, and turns a panic into an error.
func (p *Processor) execute(leased, running context.Context, e execution) error {
	limit := e.definition.Timeout
	if limit == 0 {
		limit = p.config.JobTimeout
	}
	ctx, cancel := context.WithTimeout(leased, limit)
	defer cancel()
	defer context.AfterFunc(running, cancel)()
	err := p.supervise(ctx, e, func(ctx context.Context) error { return e.prepared.Execute(ctx, e.task) })
	if _, ok := errors.AsType[*guard.PanicError](err); ok {
		p.logger(e).Error("job panicked", logging.Error(err))
		return job.NewRetry("the job panicked, see the log", nil)
	}
	if err != nil && errors.Is(ctx.Err(), context.DeadlineExceeded) && !isJobError(err) {
		err = job.NewRetry(fmt.Sprintf("the job took longer than %s", limit), err)
	}
	return err
}

func isJobError(err error) bool {
	var e *job.Error
	return errors.As(err, &e)
}

// complete hands the final state of a task to the completer. It blocks while the completer is behind.
func (p *Processor) complete(c store.Claim, status store.Status, detail string, attempts int, attemptError string) {
	lastError := ""
	if status == store.Failed {
		lastError = detail
	}
	p.completions <- store.Completion{
		Claim: c, Status: status, Detail: detail, LastError: lastError, Attempts: attempts, AttemptError: attemptError,
	}
}

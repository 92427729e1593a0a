package processor

import (
	"context"
	"errors"
	"fmt"
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
	// elsewherePause is the wait before a task that this process cannot run, for want of its key or its job type, is offered again,
	// the first time. It doubles up to config.LongestSnooze: what waits for longer than anything is put off is made due.
	unrunnableDelay = 15 * time.Second
	// elsewhereAge and elsewhereClaims are the age and the claims until which it is offered: another process may be able to run it, or
	// this one after a rollout. Offers are none of the job's attempts, which are for whoever can run it.
	unrunnableMaxAge    = 7 * time.Hour
	unrunnableMaxClaims = 90
)

// work runs a lane's claims until claiming ends; running ends the one under way.
func (p *Processor) runWorker(claiming, running context.Context, lane *claims.Lane) {
	for claiming.Err() == nil {
		select {
		case <-claiming.Done():
		case c := <-lane.Claims():
			p.tracker.ReleaseSlots(lane, 1)
			complete := lane.StartTask()
			busy := p.metrics.ActiveWorkers.WithLabelValues(lane.Name)
			busy.Inc()
			p.metrics.WaitTime.WithLabelValues(lane.Name).Observe(c.Age + time.Since(c.Since).Seconds())
			p.tracker.Started(c)
			p.runGuarded(running, c)
			busy.Dec()
			complete()
			p.tracker.WorkerIdle(lane)
		}
	}
}

// execution is one task being run.
type execution struct {
	claim      store.Claim
	definition job.Definition
	prepared   job.Prepared
	task       job.Task
	took       time.Duration
	log        *zap.Logger // only in conclude: nearly every task ends well and needs none
}

// logger returns a logger that names the task and hides its secrets.
func (p *Processor) logger(e execution) *zap.Logger {
	return p.jobLog.With(zap.Int64("task", e.task.ID), zap.String("type", e.task.Type), zap.Int("attempt", e.task.Attempt),
		zap.Duration("took", e.took), logging.Hiding(e.prepared.SecretValues()...))
}

// prepare returns what a claimed task is to do.
func prepare(d job.Definition, c store.Claim) (job.Prepared, error) {
	if c.Prepared != nil {
		return *c.Prepared, nil
	}
	return d.Prepare(c.Info)
}

// run is runOne for a worker, which goes on whatever a module's code does.
func (p *Processor) runGuarded(running context.Context, c store.Claim) {
	err := guard.Call(func() error {
		p.run(running, c)
		return nil
	})
	if err != nil {
		hiding := logging.Hiding(job.Prepared{Info: c.Info, Erased: []byte("{}")}.SecretValues()...) // it may not be known what of it is secret
		p.jobLog.With(hiding).Error("task failed", zap.Int64("task", c.ID), zap.String("type", c.Type), logging.Error(err))
		p.complete(c, store.Failed, internalErrorText, 1, "")
	}
}

// internalError is what a user reads of a panic.
const internalErrorText = "internal error, see the log"

// runOne executes a task and has its result written.
func (p *Processor) run(running context.Context, c store.Claim) {
	leased, ok := p.tracker.Context(c.Process)
	if !ok {
		p.tracker.Release(c)
		return // left to the takeover
	}
	e := execution{claim: c, task: job.Task{ID: c.ID, Type: c.Type, Attempt: c.Attempts + 1}}
	if c.Fault != nil {
		p.snoozeUnrunnable(running, e, "the payload could not be read: "+c.Fault.Error())
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
		p.handleResult(running, e, job.NewTerminal("given up: %d processes ended while they had it", c.Takeovers))
		return
	}
	begin := time.Now()
	p.metrics.Started.WithLabelValues(c.Type).Inc()
	ctx, traced := p.tracing.Continue(leased, c.TraceParent, c.Type, c.ID, e.task.Attempt)
	err = p.execute(ctx, running, e)
	traced(spanError(err))
	e.took = time.Since(begin)
	p.metrics.RunTime.WithLabelValues(c.Type).Observe(e.took.Seconds())
	switch {
	case errors.Is(err, errStillRunning):
		p.logger(e).Error(stillRunningText)
	case err == nil:
		p.jobLog.Info("task finished", zap.Int64("task", c.ID), zap.String("type", c.Type), zap.Int("attempt", e.task.Attempt), zap.Duration("took", e.took))
		p.completions <- store.Success(c) // waits where the writer has more than it can write
	case running.Err() != nil || leased.Err() != nil:
		p.logger(e).Info("task interrupted", logging.Error(err))
		p.tracker.Release(c) // returned to the queue by Stop, or left to the takeover
	default:
		p.handleResult(running, e, job.AsError(err))
	}
}

// offer puts off a task that this process cannot run and another one may, or ends it. The text says why it cannot.
func (p *Processor) snoozeUnrunnable(running context.Context, x execution, text string) {
	p.metrics.Failed.WithLabelValues(x.task.Type).Inc()
	x.log = p.logger(x)
	if x.claim.Number >= unrunnableMaxClaims && x.claim.Age >= unrunnableMaxAge.Seconds() {
		x.log.Error("task failed", zap.String("error", text))
		p.complete(x.claim, store.Failed, text, 1, "")
		return
	}
	wait := jitter(backoff(unrunnableDelay, config.LongestSnooze, x.claim.Number))
	x.log.Warn("task cannot be run here", zap.String("error", text), zap.Duration("next_in", wait))
	p.requeue(running, x, store.Completion{Claim: x.claim, Detail: text, LastError: text}, wait)
}

// failure returns err if it says that an execution failed, and nil if it says what else becomes of the task.
func spanError(err error) error {
	if err == nil {
		return nil
	}
	if e := job.AsError(err); e.Kind != job.Retry && e.Kind != job.Terminal {
		return nil
	}
	return err
}

// execute runs the job with its time limit, and makes an error of a panic.
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

// end hands a task's last state to the writer. Where that has more than it can write, this waits.
func (p *Processor) complete(c store.Claim, status store.Status, detail string, attempts int, attemptErrorLine string) {
	lastError := ""
	if status == store.Failed {
		lastError = detail
	}
	p.completions <- store.Completion{Claim: c, Status: status, Detail: detail, LastError: lastError, Attempts: attempts, AttemptError: attemptErrorLine}
}

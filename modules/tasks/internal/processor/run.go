package processor

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"go.uber.org/zap"

	"app238.com/inner/app/observe"
	"app238.com/inner/modules/tasks/internal/claims"
	"app238.com/inner/modules/tasks/internal/store"
	"app238.com/inner/modules/tasks/job"
)

// sealedPause is the wait before a task that this process cannot decrypt is offered again.
const sealedPause = 15 * time.Second

// work runs a lane's claims until claiming ends; running ends the one under way.
func (p *Processor) work(claiming, running context.Context, lane *claims.Lane) {
	for claiming.Err() == nil {
		select {
		case <-claiming.Done():
		case c := <-lane.Claims():
			p.book.Release(lane, 1)
			busy := p.metrics.Busy.WithLabelValues(lane.Name)
			busy.Inc()
			p.metrics.WaitTime.WithLabelValues(lane.Name).Observe(c.Age + time.Since(c.Since).Seconds())
			p.runOne(running, c)
			busy.Dec()
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
		zap.Duration("took", e.took), observe.Hiding(e.prepared.Hidden()...))
}

// prepare returns what a claimed task is to do.
func prepare(d job.Definition, c store.Claim) (job.Prepared, error) {
	if c.Prepared != nil {
		return *c.Prepared, nil
	}
	return d.Prepare(c.Info)
}

// runOne executes a task and has its result written.
func (p *Processor) runOne(running context.Context, c store.Claim) {
	leased, ok := p.book.Hold(c.Process)
	if !ok {
		p.book.Done(c.ID)
		return // left to the takeover
	}
	e := execution{claim: c, task: job.Task{ID: c.ID, Type: c.Type, Attempt: c.Attempts + 1}}
	if c.Fault != nil { // another process may have the key
		p.conclude(running, e, job.NewLater(sealedPause, "the payload could not be read: "+c.Fault.Error()))
		return
	}
	definition, known := p.registry.Find(c.Type)
	if !known {
		p.end(c, store.Failed, "no job of this type in this version of Inner", 0, "")
		return
	}
	prepared, err := prepare(definition, c)
	if err != nil {
		p.end(c, store.Failed, err.Error(), 0, "")
		return
	}
	e.definition, e.prepared = definition, prepared
	if c.Takeovers >= p.config.MaxTakeovers {
		p.conclude(running, e, job.NewPermanent("given up: %d processes ended while they had it", c.Takeovers))
		return
	}
	begin := time.Now()
	p.metrics.Started.WithLabelValues(c.Type).Inc()
	ctx, traced := p.tracing.Continue(leased, c.TraceParent, c.Type, c.ID, e.task.Attempt)
	err = p.execute(ctx, running, e)
	traced(failure(err))
	e.took = time.Since(begin)
	p.metrics.RunTime.WithLabelValues(c.Type).Observe(e.took.Seconds())
	switch {
	case err == nil:
		p.jobLog.Info("task finished", zap.Int64("task", c.ID), zap.String("type", c.Type), zap.Int("attempt", e.task.Attempt), zap.Duration("took", e.took))
		p.endings <- store.Success(c) // waits where the writer has more than it can write
	case running.Err() != nil || leased.Err() != nil:
		p.logger(e).Info("task interrupted", observe.Error(err))
		p.book.Done(c.ID) // returned to the queue by Stop, or left to the takeover
	default:
		p.conclude(running, e, job.AsError(err))
	}
}

// failure returns err if it says that an execution failed, and nil if it says what else becomes of the task.
func failure(err error) error {
	if err == nil {
		return nil
	}
	if e := job.AsError(err); e.Kind != job.Failed && e.Kind != job.Permanent {
		return nil
	}
	return err
}

// execute runs the job with its time limit, and makes an error of a panic.
func (p *Processor) execute(leased, running context.Context, e execution) (err error) {
	limit := e.definition.Timeout
	if limit == 0 {
		limit = p.config.JobTimeout
	}
	ctx, cancel := context.WithTimeout(leased, limit)
	defer cancel()
	defer context.AfterFunc(running, cancel)()
	defer func() {
		if r := recover(); r != nil {
			p.logger(e).Error("job panicked", zap.String("panic", observe.Redact(fmt.Sprint(r))), zap.ByteString("stack", debug.Stack()))
			err = job.NewFailed("the job panicked, see the log", nil)
		}
	}()
	err = e.prepared.Execute(ctx, e.task)
	if err != nil && errors.Is(ctx.Err(), context.DeadlineExceeded) && !isJobError(err) {
		err = job.NewFailed(fmt.Sprintf("the job took longer than %s", limit), err)
	}
	return err
}

func isJobError(err error) bool {
	var e *job.Error
	return errors.As(err, &e)
}

// end hands a task's last state to the writer. Where that has more than it can write, this waits.
func (p *Processor) end(c store.Claim, status store.Status, detail string, attempts int, note string) {
	lastError := ""
	if status == store.Failed {
		lastError = detail
	}
	p.endings <- store.Ending{Claim: c, Status: status, Detail: detail, LastError: lastError, Attempts: attempts, Note: note}
}

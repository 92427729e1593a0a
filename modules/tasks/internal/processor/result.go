package processor

import (
	"context"
	"encoding/json"
	"errors"
	"time"
	"unicode/utf8"

	"go.uber.org/zap"

	"app238.com/inner/app/database"
	"app238.com/inner/app/guard"
	"app238.com/inner/app/logging"
	"app238.com/inner/modules/tasks/internal/store"
	"app238.com/inner/modules/tasks/job"
)

// discardTimeout limits OnDiscarded.
const discardTimeout = 15 * time.Second

// maxAttemptError is the length in bytes to which the stored error of an attempt is cut.
const maxAttemptError = 1000

// handleResult writes the result of an execution that returned an error.
func (p *Processor) handleResult(running context.Context, x execution, e *job.Error) {
	x.log = p.logger(x)
	limit := x.definition.Attempts
	if limit == 0 {
		limit = p.config.Attempts
	}
	if e.Kind == job.Retry || e.Kind == job.Terminal {
		p.metrics.Failed.WithLabelValues(x.task.Type).Inc()
	}
	switch {
	case e.Kind == job.Parked:
		x.log.Info("task parked", zap.String("reason", e.Text))
		parked := store.Completion{Claim: x.claim, Detail: e.Text}
		p.writeResult(running, parked, x.log, func(ctx context.Context, e store.Completion) error {
			return p.store.Park(ctx, e, p.config.ParkedRecheck)
		})
	case e.Kind == job.Snooze:
		delay := snoozeDelay(e, x.claim.Age)
		x.log.Info("task snoozed", zap.String("reason", e.Text), zap.Duration("next_in", delay), logging.Error(e.Cause))
		p.requeue(running, x, store.Completion{Claim: x.claim, Detail: e.Text}, delay)
	case e.Kind == job.Superseded:
		x.log.Info("task superseded", zap.String("reason", e.Text))
		p.complete(x.claim, store.Superseded, e.Text, 1, "")
	case e.Kind == job.Terminal || x.task.Attempt >= limit:
		p.discard(running, x, e)
	default:
		delay := jitter(backoff(p.config.RetryDelay, p.config.RetryDelayMax, int64(x.task.Attempt)))
		x.log.Warn("attempt failed", logging.Error(e), zap.Duration("next_in", delay))
		p.requeue(running, x, store.Completion{
			Claim: x.claim, Detail: "attempt failed, will be retried", LastError: e.Text, Attempts: 1,
			AttemptError: attemptErrorLine(x.task, e),
		}, delay)
	}
}

// discard ends a task as an error, after its job's OnDiscarded has updated other rows. If that fails the task is run
// again, so that the rows stay consistent.
func (p *Processor) discard(running context.Context, x execution, e *job.Error) {
	leased, ok := p.tracker.Context(x.claim.Process)
	if !ok {
		p.tracker.Release(x.claim)
		return // another process recovers the task
	}
	ctx, cancel := context.WithTimeout(leased, discardTimeout)
	defer cancel()
	defer context.AfterFunc(running, cancel)()
	err := p.supervise(ctx, x, func(ctx context.Context) error { return x.prepared.OnDiscarded(ctx, x.task, e.Text) })
	if errors.Is(err, errStillRunning) {
		x.log.Error(stillRunningText)
		return
	}
	if err != nil {
		x.log.Error("OnDiscarded failed", logging.Error(err))
	}
	if err != nil && !failsAlways(err) {
		failed := store.Completion{Claim: x.claim, Detail: "failed, will be recorded", LastError: e.Text}
		p.requeue(running, x, failed, jitter(p.config.RetryDelay))
		return
	}
	x.log.Error("task discarded", logging.Error(e))
	p.complete(x.claim, store.Failed, e.Text, 1, attemptErrorLine(x.task, e))
}

// failsAlways reports whether what failed with err fails every time: a panic, or a value that the database refuses.
func failsAlways(err error) bool {
	_, panicked := errors.AsType[*guard.PanicError](err)
	return panicked || database.IsDataRefused(err) || job.AsError(err).Kind == job.Terminal
}

func (p *Processor) requeue(running context.Context, x execution, e store.Completion, delay time.Duration) {
	p.writeResult(running, e, x.log, func(ctx context.Context, e store.Completion) error { return p.store.Requeue(ctx, e, delay) })
}

// writeResult repeats a write until it succeeds, the claim is lost, or the process stops. If the database refuses the
// texts of a result it is written without them.
func (p *Processor) writeResult(running context.Context, e store.Completion, log *zap.Logger,
	write func(context.Context, store.Completion) error,
) {
	defer p.tracker.Release(e.Claim)
	for {
		err := write(context.WithoutCancel(running), e)
		switch {
		case err == nil:
			// A task resumed while it ran is pending already, and one with the same key may wait for this one.
			p.tracker.Notify()
			return
		case errors.Is(err, store.ErrClaimLost):
			log.Warn("result dropped: the task was recovered or its result is already written")
			return
		case database.IsDataRefused(err):
			e = e.WithoutText()
		}
		log.Warn("result could not be written yet", logging.Error(err))
		if !sleep(running, resultRetryDelay) {
			return
		}
	}
}

// attemptErrorLine is the stored line of a failed attempt, for operators.
func attemptErrorLine(task job.Task, e *job.Error) string {
	text := logging.Redact(e.Error())
	if len(text) > maxAttemptError {
		text = text[:maxAttemptError]
		for !utf8.ValidString(text) {
			text = text[:len(text)-1]
		}
	}
	line, err := json.Marshal(struct {
		Attempt int    `json:"attempt"`
		At      string `json:"at"`
		Error   string `json:"error"`
	}{task.Attempt, time.Now().UTC().Format(time.RFC3339), text})
	if err != nil {
		return ""
	}
	return string(line) + "\n"
}

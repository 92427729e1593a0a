package processor

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"time"
	"unicode/utf8"

	"go.uber.org/zap"

	"app238.com/inner/app/config"
	"app238.com/inner/app/database"
	"app238.com/inner/app/guard"
	"app238.com/inner/app/logging"
	"app238.com/inner/modules/tasks/internal/store"
	"app238.com/inner/modules/tasks/job"
)

// giveUpTimeout bounds the hook that writes a task's failure to the row it was about.
const discardTimeout = 15 * time.Second

// maxNote is the length in bytes to which the kept error of an attempt is cut.
const maxAttemptError = 1000

// maxLater is the longest wait for a dependency that is away, between two looks, unless the job says another.
const maxSnooze = 30 * time.Second

// conclude writes what becomes of a task whose execution returned an error.
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
		x.log.Info("task parked", zap.String("for", e.Text))
		p.writeResult(running, store.Completion{Claim: x.claim, Detail: e.Text}, x.log, func(ctx context.Context, e store.Completion) error {
			return p.store.Park(ctx, e, p.config.ParkedRecheck)
		})
	case e.Kind == job.Snooze:
		wait := snoozeDelay(e, x.claim.Age)
		x.log.Info("task put off", zap.String("why", e.Text), zap.Duration("for", wait), logging.Error(e.Cause))
		p.requeue(running, x, store.Completion{Claim: x.claim, Detail: e.Text}, wait)
	case e.Kind == job.Superseded:
		x.log.Info("task superseded", zap.String("why", e.Text))
		p.complete(x.claim, store.Superseded, e.Text, 1, "")
	case e.Kind == job.Terminal || x.task.Attempt >= limit:
		p.discard(running, x, e)
	default:
		wait := jitter(backoff(p.config.RetryDelay, p.config.RetryDelayMax, int64(x.task.Attempt)))
		x.log.Warn("attempt failed", logging.Error(e), zap.Duration("next_in", wait))
		p.requeue(running, x, store.Completion{
			Claim: x.claim, Detail: "attempt failed, will be tried again", LastError: e.Text, Attempts: 1, AttemptError: attemptErrorLine(x.task, e),
		}, wait)
	}
}

// giveUp ends a task as an error, after the row that it was about was told. Where that cannot be written now the task
// is run again, so that the two do not part.
func (p *Processor) discard(running context.Context, x execution, e *job.Error) {
	leased, ok := p.tracker.Context(x.claim.Process)
	if !ok {
		p.tracker.Release(x.claim)
		return // left to the takeover
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
		x.log.Error("failure could not be written to the row it is about", logging.Error(err))
	}
	if err != nil && !failsAlways(err) {
		p.requeue(running, x, store.Completion{Claim: x.claim, Detail: "failed, to be recorded", LastError: e.Text}, jitter(p.config.RetryDelay))
		return
	}
	x.log.Error("task failed", logging.Error(e))
	p.complete(x.claim, store.Failed, e.Text, 1, attemptErrorLine(x.task, e))
}

// hopeless tells whether what ended with err will end so each time: by a panic, or since the database takes no such value.
func failsAlways(err error) bool {
	_, panicked := errors.AsType[*guard.PanicError](err)
	return panicked || database.IsDataRefused(err) || job.AsError(err).Kind == job.Terminal
}

func (p *Processor) requeue(running context.Context, x execution, e store.Completion, wait time.Duration) {
	p.writeResult(running, e, x.log, func(ctx context.Context, e store.Completion) error { return p.store.Requeue(ctx, e, wait) })
}

// write repeats a write until it succeeds, or the claim is lost, or the process ends. Of an ending whose text is refused it
// writes a bare one.
func (p *Processor) writeResult(running context.Context, e store.Completion, log *zap.Logger, writeResult func(context.Context, store.Completion) error) {
	defer p.tracker.Release(e.Claim)
	for {
		err := writeResult(context.WithoutCancel(running), e)
		switch {
		case err == nil:
			// A task woken while it ran is pending already, and one with the same key may wait for this one.
			p.tracker.Notify()
			return
		case errors.Is(err, store.ErrClaimLost):
			log.Warn("result dropped: the task was taken over or its result is written already")
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

// note is the line that is kept of a failed attempt, for operators.
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

// doubled is a wait that doubles with every time after the first up to the longest.
func backoff(wait, longest time.Duration, times int64) time.Duration {
	for range times - 1 {
		if wait *= 2; wait >= longest {
			return longest
		}
	}
	return wait
}

// later is the wait before a task that was put off is run again.
func snoozeDelay(e *job.Error, age float64) time.Duration {
	wait := min(e.Delay, config.LongestSnooze)
	if e.Backoff {
		longest := min(cmp.Or(e.MaxDelay, maxSnooze), config.LongestSnooze)
		wait = max(wait, min(time.Duration(age/8*float64(time.Second)), longest))
	}
	return jitter(wait)
}

// jitter spreads waits over plus or minus a fifth, so that what failed together does not come back together.
func jitter(d time.Duration) time.Duration {
	return time.Duration(float64(d) * (0.8 + 0.4*rand.Float64()))
}

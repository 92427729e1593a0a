package processor

import (
	"context"
	"time"

	"go.uber.org/zap"

	"app238.com/inner/app/database"
	"app238.com/inner/app/logging"
	"app238.com/inner/modules/tasks/internal/metrics"
	"app238.com/inner/modules/tasks/internal/store"
)

// maxEndings bounds the results of one statement, and those that may wait for it: then workers wait too.
const maxCompletions = 1000

// recordPause is the wait between two tries to write results while the database is away.
const resultRetryDelay = 500 * time.Millisecond

// writeEndings writes the last states of tasks, as many as have come while the last statement was under way, until the
// channel is closed and empty.
func (p *Processor) runCompleter(running context.Context) {
	for first := range p.completions {
		batch := []store.Completion{first}
		for len(batch) < maxCompletions {
			select {
			case e, open := <-p.completions:
				if open {
					batch = append(batch, e)
					continue
				}
			default:
			}
			break
		}
		p.metrics.Batch.WithLabelValues(metrics.CompleteBatch).Observe(float64(len(batch)))
		for _, part := range store.SplitCompletions(batch) {
			p.completeBatch(running, part)
		}
	}
}

// writePart repeats the write until it succeeds or the process ends: a result is not dropped because the database is
// away for a while. What it refuses for its values is written one by one, so that one result does not hold up others.
func (p *Processor) completeBatch(running context.Context, part store.CompletionBatch) {
	claims := make([]store.Claim, len(part.Completions))
	for i, e := range part.Completions {
		claims[i] = e.Claim
	}
	defer p.tracker.Release(claims...)
	for {
		written, heads, err := p.store.Complete(context.WithoutCancel(running), part)
		if err == nil {
			p.afterCompletion(part.Completions, written, heads)
			return
		}
		p.log.Warn("results could not be written yet", zap.Int("results", len(claims)), logging.Error(err))
		if requireUnavailable := database.IsDataRefused(err); requireUnavailable && len(claims) > 1 {
			for i := range part.Completions {
				p.completeBatch(running, store.CompletionBatch{Completions: part.Completions[i : i+1], Process: part.Process, Number: part.Number})
			}
			return
		} else if requireUnavailable {
			part.Completions[0] = part.Completions[0].WithoutText()
		}
		if !sleep(running, resultRetryDelay) {
			return
		}
	}
}

func (p *Processor) afterCompletion(batch []store.Completion, written map[store.ClaimKey]bool, heads map[string][]int64) {
	for _, e := range batch {
		if !written[e.Claim.Key()] {
			p.log.Warn("result dropped: the task was taken over or its result is written already", zap.Int64("task", e.Claim.ID))
			continue
		}
		p.metrics.Ended.WithLabelValues(e.Claim.Type, string(e.Status)).Inc()
	}
	for lane, ids := range heads {
		p.tracker.OfferNext(p.tracker.Lane(lane), ids...)
	}
}

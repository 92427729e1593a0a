package processor

import (
	"context"
	"time"

	"go.uber.org/zap"

	"app238.com/inner/app/database"
	"app238.com/inner/app/guard"
	"app238.com/inner/app/logging"
	"app238.com/inner/modules/tasks/internal/metrics"
	"app238.com/inner/modules/tasks/internal/pipeline"
	"app238.com/inner/modules/tasks/internal/store"
)

// maxCompletions limits the results of one statement, and of those that wait for it: workers wait when it is reached.
const maxCompletions = 1000

// resultRetryDelay is the delay between attempts to write results while the database is unavailable.
const resultRetryDelay = 500 * time.Millisecond

// runCompleter writes the results of tasks until the channel is closed and empty. What arrives during a statement is
// written by the next one.
func (p *Processor) runCompleter(running context.Context, writes *pipeline.Pipeline) {
	for first := range p.completions {
		writes.Enter()
		batch := p.gather(first)
		p.metrics.Batch.WithLabelValues(metrics.CompleteBatch).Observe(float64(len(batch)))
		p.completer.Add(1) // for the one that may replace this
		replaced := writes.Run(func() { p.completeAll(running, batch) }, func() {
			defer p.completer.Done()
			p.runCompleter(running, writes)
		})
		if replaced {
			return
		}
		p.completer.Done()
	}
}

// gather returns a result and those that wait for it to be written.
func (p *Processor) gather(first store.Completion) []store.Completion {
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
	return batch
}

func (p *Processor) completeAll(running context.Context, batch []store.Completion) {
	err := guard.Call(func() error {
		for _, part := range store.SplitCompletions(batch) {
			p.completeBatch(running, part)
		}
		return nil
	})
	if err != nil {
		p.log.Error("results were not written", zap.Int("results", len(batch)), logging.Error(err))
	}
}

// completeBatch writes results. It retries until it succeeds or the process stops. If the database refuses a value of
// several results they are written one by one, so that one result does not block others.
func (p *Processor) completeBatch(running context.Context, batch store.CompletionBatch) {
	claims := make([]store.Claim, len(batch.Completions))
	for i, e := range batch.Completions {
		claims[i] = e.Claim
	}
	defer p.tracker.Release(claims...)
	for {
		written, next, err := p.store.Complete(context.WithoutCancel(running), batch)
		if err == nil {
			p.afterCompletion(batch.Completions, written, next)
			return
		}
		p.log.Warn("results could not be written yet", zap.Int("results", len(claims)), logging.Error(err))
		if refused := database.IsDataRefused(err); refused && len(claims) > 1 {
			for i := range batch.Completions {
				single := store.CompletionBatch{Completions: batch.Completions[i : i+1], Process: batch.Process, Number: batch.Number}
				p.completeBatch(running, single)
			}
			return
		} else if refused {
			batch.Completions[0] = batch.Completions[0].WithoutText()
		}
		if !sleep(running, resultRetryDelay) {
			return
		}
	}
}

func (p *Processor) afterCompletion(batch []store.Completion, written map[store.ClaimKey]bool, next map[string][]int64) {
	for _, e := range batch {
		if !written[e.Claim.Key()] {
			p.log.Warn("result dropped: the task was recovered or its result is already written", zap.Int64("task", e.Claim.ID))
			continue
		}
		p.metrics.Ended.WithLabelValues(e.Claim.Type, string(e.Status)).Inc()
	}
	for lane, ids := range next {
		p.tracker.OfferNext(p.tracker.Lane(lane), ids...)
	}
}

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
const maxEndings = 1000

// recordPause is the wait between two tries to write results while the database is away.
const recordPause = 500 * time.Millisecond

// writeEndings writes the last states of tasks, as many as have come while the last statement was under way, until the
// channel is closed and empty.
func (p *Processor) writeEndings(running context.Context) {
	for first := range p.endings {
		batch := []store.Ending{first}
		for len(batch) < maxEndings {
			select {
			case e, open := <-p.endings:
				if open {
					batch = append(batch, e)
					continue
				}
			default:
			}
			break
		}
		p.metrics.Batch.WithLabelValues(metrics.EndBatch).Observe(float64(len(batch)))
		for _, part := range store.Parts(batch) {
			p.writePart(running, part)
		}
	}
}

// writePart repeats the write until it succeeds or the process ends: a result is not dropped because the database is
// away for a while. What it refuses for its values is written one by one, so that one result does not hold up others.
func (p *Processor) writePart(running context.Context, part store.Part) {
	claims := make([]store.Claim, len(part.Endings))
	for i, e := range part.Endings {
		claims[i] = e.Claim
	}
	defer p.tracker.Done(claims...)
	for {
		written, heads, err := p.store.End(context.WithoutCancel(running), part)
		if err == nil {
			p.afterEndings(part.Endings, written, heads)
			return
		}
		p.log.Warn("results could not be written yet", zap.Int("results", len(claims)), logging.Error(err))
		if refused := database.IsDataRefused(err); refused && len(claims) > 1 {
			for i := range part.Endings {
				p.writePart(running, store.Part{Endings: part.Endings[i : i+1], Process: part.Process, Number: part.Number})
			}
			return
		} else if refused {
			part.Endings[0] = part.Endings[0].Bare()
		}
		if !pause(running, recordPause) {
			return
		}
	}
}

func (p *Processor) afterEndings(batch []store.Ending, written map[store.Held]bool, heads map[string][]int64) {
	for _, e := range batch {
		if !written[e.Claim.Held()] {
			p.log.Warn("result dropped: the task was taken over or its result is written already", zap.Int64("task", e.Claim.ID))
			continue
		}
		p.metrics.Ended.WithLabelValues(e.Claim.Type, string(e.Status)).Inc()
	}
	for lane, ids := range heads {
		p.tracker.NoteHeads(p.tracker.Lane(lane), ids...)
	}
}

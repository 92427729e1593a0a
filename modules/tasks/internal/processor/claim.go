package processor

import (
	"context"
	"time"

	"app238.com/inner/app/database"
	"app238.com/inner/app/observe"
	"app238.com/inner/modules/tasks/internal/claims"
	"app238.com/inner/modules/tasks/internal/metrics"
)

// maxClaims bounds what one statement claims, so that the first of them need not wait long for the last.
const maxClaims = 256

// claim keeps the buffers filled until ctx ends.
func (p *Processor) claim(ctx context.Context) {
	timer := time.NewTimer(p.config.PollInterval)
	defer timer.Stop()
	for ctx.Err() == nil {
		more := false
		if id, ok := p.book.Current(); ok {
			for _, lane := range p.book.Lanes() {
				more = p.fill(ctx, id, lane) || more
			}
		}
		if more {
			continue
		}
		timer.Reset(p.config.PollInterval)
		select {
		case <-ctx.Done():
		case <-p.book.Hints():
		case <-timer.C:
		}
	}
}

// fill claims as many tasks as a lane's buffer has room for, and tells whether it should be called again at once.
func (p *Processor) fill(ctx context.Context, id string, lane *claims.Lane) bool {
	room := lane.Reserve(maxClaims)
	if room == 0 {
		return false
	}
	defer p.book.Begin()()
	claimed, err := p.store.Claim(ctx, id, lane.Name, room)
	lane.Release(room - len(claimed))
	if err != nil {
		if !database.IsRefused(err) {
			p.book.Doubt()
		}
		if ctx.Err() == nil {
			p.log.Warn("claiming tasks failed", observe.Error(err))
		}
		return false
	}
	if len(claimed) > 0 {
		p.metrics.Batch.WithLabelValues(metrics.ClaimBatch).Observe(float64(len(claimed)))
	}
	p.book.Add(lane, claimed...)
	lane.SetBacklog(len(claimed) == room)
	return len(claimed) == room && lane.WantsMore()
}

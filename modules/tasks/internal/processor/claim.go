package processor

import (
	"context"
	"time"

	"app238.com/inner/app/observe"
	"app238.com/inner/modules/tasks/internal/store"
)

// claim keeps the buffer filled until ctx ends.
func (p *Processor) claim(ctx context.Context) {
	timer := time.NewTimer(p.config.PollInterval)
	defer timer.Stop()
	for {
		if id, ok := p.lease.current(); ok && p.fill(ctx, id) {
			continue
		}
		timer.Reset(p.config.PollInterval)
		select {
		case <-ctx.Done():
			return
		case <-p.hints:
		case <-p.freed:
		case <-timer.C:
		}
	}
}

// fill claims as many tasks as the buffer has room for, and tells whether there may be more of them.
func (p *Processor) fill(ctx context.Context, id string) bool {
	room := cap(p.buffer) - len(p.buffer)
	if room == 0 || ctx.Err() != nil {
		return false
	}
	taken := 0
	for _, lane := range p.registry.Lanes() {
		claims, err := p.claimLane(ctx, id, lane, room-taken)
		if err != nil {
			if ctx.Err() == nil {
				p.log.Warn("claiming tasks failed", observe.Error(err))
			}
			return false
		}
		for _, c := range claims {
			select {
			case p.buffer <- c: // has room: this goroutine alone fills it
			case <-ctx.Done():
				return false // what is left is returned at shutdown
			}
		}
		taken += len(claims)
	}
	return taken == room
}

func (p *Processor) claimLane(ctx context.Context, id, lane string, limit int) ([]store.Claim, error) {
	if limit == 0 {
		return nil, nil
	}
	return p.store.Claim(ctx, id, lane, limit)
}

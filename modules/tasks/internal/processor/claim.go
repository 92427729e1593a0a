package processor

import (
	"context"
	"time"

	"app238.com/inner/app/database"
	"app238.com/inner/app/logging"
	"app238.com/inner/modules/tasks/internal/claims"
	"app238.com/inner/modules/tasks/internal/metrics"
	"app238.com/inner/modules/tasks/internal/store"
)

// maxClaims bounds what one statement claims, so that the first of them need not wait long for the last.
const maxClaims = 256

const (
	// pollRest is how many times as long as a look for tasks the wait for the next one is, if nothing else gives a hint.
	pollDelayFactor = 3
	// everywhereRest is how many times as long as a look that begins at the lowest id, or a poll interval, the wait for the
	// next such look is. Others' tasks that are retried, returned or recovered are found by it.
	fullScanDelayFactor = 3
	// maxPollInterval bounds that wait, unless the configured one is longer.
	maxPollInterval = 10 * time.Second
)

// claim keeps the buffers filled until ctx ends.
func (p *Processor) claim(ctx context.Context) {
	timer := time.NewTimer(p.config.PollInterval)
	defer timer.Stop()
	var next, poll time.Time // when it is looked from the lowest id, and in all lanes, whatever is known
	for ctx.Err() == nil {
		begin := time.Now()
		fullScan, all := p.tracker.TakeFullScan() || !begin.Before(next), !begin.Before(poll)
		if id, ok := p.tracker.Current(); ok {
			for _, lane := range p.lanes(ctx, fullScan, all) {
				p.fill(ctx, id, lane)
			}
		}
		if fullScan {
			next = time.Now().Add(fullScanDelayFactor * max(p.config.PollInterval, time.Since(begin)))
		}
		if all {
			// Where much waits for its key, or the database is slow, a look takes long: it is not to take most of the time.
			poll = time.Now().Add(max(p.config.PollInterval, min(pollDelayFactor*time.Since(begin), maxPollInterval)))
		}
		timer.Reset(time.Until(poll))
		select {
		case <-ctx.Done():
		case <-p.tracker.Notified():
		case <-timer.C:
		}
	}
}

// lanes returns the lanes to fill: those that are wanted, and when all are to be looked at those too in which something is
// pending. These are asked for in one statement: nearly always there are none.
func (p *Processor) lanes(ctx context.Context, fullScan, all bool) []*claims.Lane {
	var wanted []*claims.Lane
	others := map[string]int64{}
	for _, lane := range p.tracker.Lanes() {
		if fullScan {
			lane.SetScanStart(0)
		}
		if lane.TakeFetchRequest() {
			wanted = append(wanted, lane)
		} else {
			others[lane.Name] = lane.ScanStart()
		}
	}
	if !all {
		return wanted
	}
	polled, err := p.store.Poll(ctx, others)
	if err != nil {
		if ctx.Err() == nil {
			p.log.Warn("looking for tasks failed", logging.Error(err))
		}
		return wanted
	}
	p.polled.Store(&polled)
	for _, name := range polled.Lanes {
		wanted = append(wanted, p.tracker.Lane(name))
	}
	return wanted
}

// claimHeads claims the tasks whose turn was said to have come, until ctx ends. It does not wait for the looks of claim.
func (p *Processor) claimNext(ctx context.Context) {
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-p.tracker.NextOffered():
		}
		if id, ok := p.tracker.Current(); ok {
			for _, lane := range p.tracker.Lanes() {
				p.fillWithNext(ctx, id, lane)
			}
		}
	}
}

// fill claims as many tasks as a lane's buffer has room for. Where that leaves some behind the lane is a wanted one again as soon
// as its buffer is half empty.
func (p *Processor) fill(ctx context.Context, id string, lane *claims.Lane) {
	room := lane.ReserveSlots(maxClaims)
	if room == 0 {
		lane.SetBacklog(true)
		p.tracker.ReleaseSlots(lane, 0)
		return
	}
	lowest := lane.StartScan()
	claimed, err := p.claimInto(lane, func() ([]store.Claim, error) {
		found, err := p.store.Claim(ctx, id, lane.Name, room, lowest)
		if err == nil && len(found) > 0 {
			lane.SetScanStart(found[len(found)-1].ID + 1)
		}
		return found, err
	})
	lane.SetBacklog(claimed == room)
	if err != nil && ctx.Err() == nil {
		p.log.Warn("claiming tasks failed", logging.Error(err))
	}
	p.tracker.ReleaseSlots(lane, room-claimed)
}

// fillWithHeads claims the tasks of a lane whose turn was said to have come. Where there is a backlog they wait for their
// turn in it: else keys for which much waits could keep those out for which little does.
func (p *Processor) fillWithNext(ctx context.Context, id string, lane *claims.Lane) {
	if lane.NextCount() == 0 || !lane.HalfEmpty() {
		return
	}
	if lane.Backlog() {
		p.tracker.Refill(lane)
		return
	}
	room := lane.ReserveSlots(lane.NextCount())
	claimed := 0
	if heads := lane.TakeNext(room); len(heads) > 0 {
		var err error
		claimed, err = p.claimInto(lane, func() ([]store.Claim, error) { return p.store.ClaimTasks(ctx, id, heads...) })
		if err != nil && ctx.Err() == nil {
			p.log.Warn("claiming the next tasks of their keys failed", logging.Error(err))
		}
	}
	p.tracker.ReleaseSlots(lane, room-claimed)
}

// take hands what is claimed to the workers of a lane, in which room was reserved for it, and returns how much that was.
func (p *Processor) claimInto(lane *claims.Lane, claim func() ([]store.Claim, error)) (int, error) {
	defer p.tracker.BeginClaim()()
	claimed, err := claim()
	if err != nil {
		if !database.IsRefused(err) {
			p.tracker.MarkUncertain()
		}
		return 0, err
	}
	if len(claimed) > 0 {
		p.metrics.Batch.WithLabelValues(metrics.ClaimBatch).Observe(float64(len(claimed)))
	}
	p.tracker.Add(lane, claimed...)
	return len(claimed), nil
}

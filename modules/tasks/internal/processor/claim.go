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

// maxClaims limits the claims of one statement, so that the first of them need not wait long for the last.
const maxClaims = 256

const (
	// pollDelayFactor is the minimum delay before the next poll, as a multiple of the duration of the last one.
	pollDelayFactor = 3
	// fullScanDelayFactor is the delay before the next full scan, as a multiple of the duration of the last one, or of
	// the poll interval. Full scans find tasks that other processes retried, returned or recovered.
	fullScanDelayFactor = 3
	// busyPollShare is the share of the poll interval after which is polled again while polls find tasks.
	busyPollShare = 16
	// maxPollInterval limits the delay between polls, unless the configured one is longer.
	maxPollInterval = 10 * time.Second
)

// claim keeps the buffers of the lanes filled until ctx ends.
func (p *Processor) claim(ctx context.Context) {
	timer := time.NewTimer(p.config.PollInterval)
	defer timer.Stop()
	var nextFullScan, nextPoll time.Time
	interval := p.config.PollInterval
	for ctx.Err() == nil {
		begin := time.Now()
		fullScan, poll := p.tracker.TakeFullScan() || !begin.Before(nextFullScan), !begin.Before(nextPoll)
		claimed := 0
		if id, ok := p.tracker.Current(); ok {
			requested, polled := p.lanesToFill(ctx, fullScan, poll)
			for _, lane := range requested {
				p.fill(ctx, id, lane)
			}
			for _, lane := range polled {
				claimed += p.fill(ctx, id, lane)
			}
		}
		if fullScan {
			nextFullScan = time.Now().Add(fullScanDelayFactor * max(p.config.PollInterval, time.Since(begin)))
		}
		if poll {
			// A poll takes long if many tasks wait for their keys or the database is slow; polling must not take most of the time.
			interval = nextInterval(interval, p.config.PollInterval, claimed > 0)
			nextPoll = time.Now().Add(max(interval, min(pollDelayFactor*time.Since(begin), maxPollInterval)))
		}
		timer.Reset(time.Until(nextPoll))
		select {
		case <-ctx.Done():
		case <-p.tracker.Notified():
		case <-timer.C:
		}
	}
}

// nextInterval returns the delay of the next poll. After a poll that found tasks it is short, since the process that accepted
// them, or the one that ended, is likely to have left more; each poll without any doubles it.
func nextInterval(last, longest time.Duration, found bool) time.Duration {
	if found {
		return longest / busyPollShare
	}
	return min(2*last, longest)
}

// lanesToFill returns the lanes that requested a fetch and, if poll is set, the others with pending tasks. One statement
// polls all lanes: nearly always there are none.
func (p *Processor) lanesToFill(ctx context.Context, fullScan, poll bool) (requested, polled []*claims.Lane) {
	others := map[string]int64{}
	for _, lane := range p.tracker.Lanes() {
		if fullScan {
			lane.SetScanStart(0)
		}
		if lane.TakeFetchRequest() {
			requested = append(requested, lane)
		} else {
			others[lane.Name] = lane.ScanStart()
		}
	}
	if !poll {
		return requested, nil
	}
	begin := time.Now()
	found, err := p.store.Poll(ctx, others, !begin.Before(p.nextUnregistered))
	if err != nil {
		if ctx.Err() == nil {
			p.log.Warn("poll failed", logging.Error(err))
		}
		return requested, nil
	}
	if found.Unregistered {
		p.nextUnregistered = time.Now().Add(max(p.config.HeartbeatInterval, pollDelayFactor*time.Since(begin)))
	}
	if last := p.polled.Load(); found.Unregistered || last == nil || !last.Unregistered {
		p.polled.Store(&found)
	}
	for _, name := range found.Lanes {
		polled = append(polled, p.tracker.Lane(name))
	}
	return requested, polled
}

// claimNext claims offered tasks until ctx ends. It does not wait for the scans of claim.
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

// fill claims as many tasks as a lane has free slots. If tasks are left, the lane requests another fetch as soon as its
// buffer is half empty.
func (p *Processor) fill(ctx context.Context, id string, lane *claims.Lane) int {
	slots := lane.ReserveSlots(maxClaims)
	if slots == 0 {
		lane.SetBacklog(true)
		p.tracker.ReleaseSlots(lane, 0)
		return 0
	}
	lowest := lane.StartScan()
	claimed, err := p.claimInto(lane, func() ([]store.Claim, error) {
		found, err := p.store.Claim(ctx, id, lane.Name, slots, lowest)
		if err == nil && len(found) > 0 {
			lane.SetScanStart(found[len(found)-1].ID + 1)
		}
		return found, err
	})
	lane.SetBacklog(claimed == slots)
	if err != nil && ctx.Err() == nil {
		p.log.Warn("claim failed", logging.Error(err))
	}
	p.tracker.ReleaseSlots(lane, slots-claimed)
	return claimed
}

// fillWithNext claims offered tasks of a lane. If the lane has a backlog they wait for their turn in it: otherwise keys
// with many tasks could starve keys with few.
func (p *Processor) fillWithNext(ctx context.Context, id string, lane *claims.Lane) {
	if lane.NextCount() == 0 || !lane.HalfEmpty() {
		return
	}
	if lane.Backlog() {
		p.tracker.Refill(lane)
		return
	}
	slots := lane.ReserveSlots(lane.NextCount())
	claimed := 0
	if next := lane.TakeNext(slots); len(next) > 0 {
		var err error
		claimed, err = p.claimInto(lane, func() ([]store.Claim, error) { return p.store.ClaimTasks(ctx, id, next...) })
		if err != nil && ctx.Err() == nil {
			p.log.Warn("claim of next tasks failed", logging.Error(err))
		}
	}
	p.tracker.ReleaseSlots(lane, slots-claimed)
}

// claimInto runs a claiming statement and hands the claims to the workers of a lane with reserved slots. It returns
// their number.
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

package processor

import (
	"context"
	"slices"
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
	// pollFactor is the minimum delay before the next poll, as a multiple of the duration of the last one: a poll takes long if
	// many tasks wait for their keys or the database is slow.
	pollFactor = 10
	// scanFactor is that of full scans and of thorough polls. They read the index entries of ended tasks too, until these are
	// vacuumed, which a transaction or a replica can delay for hours.
	scanFactor = 30
	// fullScanPolls is the number of poll intervals between full scans. They find tasks with low ids that were never claimed and
	// not offered: their process died, or they were committed late.
	fullScanPolls = 3
	// busyPollShare is the share of the poll interval after which is polled again while polls find tasks.
	busyPollShare = 16
	// maxPollInterval limits the delay between polls, maxScanInterval that between full scans, unless the configured one is longer.
	maxPollInterval, maxScanInterval = 10 * time.Second, time.Minute
)

// scans are the schedules of what the claim loop reads beside the tasks that it claims.
type scans struct {
	poll, full, thorough schedule
	// interval is that of the next poll.
	interval time.Duration
}

// claim keeps the buffers of the lanes filled until ctx ends.
func (p *Processor) claim(ctx context.Context) {
	timer := time.NewTimer(p.config.PollInterval)
	defer timer.Stop()
	long := schedule{factor: scanFactor, mostRest: maxScanInterval}
	s := scans{schedule{factor: pollFactor, mostRest: maxPollInterval}, long, long, p.config.PollInterval}
	for ctx.Err() == nil {
		next := time.Now().Add(p.config.PollInterval)
		if id, ok := p.tracker.Current(); ok {
			p.claimOnce(ctx, id, &s)
			next = s.poll.next()
			if s.full.requested && s.full.earliest.Before(next) {
				next = s.full.earliest
			}
		}
		timer.Reset(time.Until(next))
		select {
		case <-ctx.Done():
		case <-p.tracker.Notified():
		case <-timer.C:
		}
	}
}

// claimOnce fills the lanes that requested it and, when it is time to poll, the others with pending tasks.
func (p *Processor) claimOnce(ctx context.Context, id string, s *scans) {
	begin, rescan := time.Now(), p.tracker.TakeRescan()
	full, poll := s.full.due(begin, rescan), s.poll.due(begin, rescan)
	thorough := poll && s.thorough.due(begin, false)
	requested, polled := p.lanesToFill(ctx, full, poll, thorough)
	for _, lane := range requested {
		p.fill(ctx, id, lane)
	}
	claimed := 0
	for _, lane := range polled {
		claimed += p.fill(ctx, id, lane)
	}
	took := time.Since(begin)
	if full {
		s.full.ran(took, fullScanPolls*p.config.PollInterval)
	}
	if thorough {
		s.thorough.ran(took, p.config.HeartbeatInterval)
	}
	if full || thorough {
		took = 0 // not what a poll takes
	}
	if poll {
		s.interval = nextInterval(s.interval, p.config.PollInterval, claimed > 0)
		s.poll.ran(took, s.interval)
	}
}

// lanesToFill returns the lanes that requested a fetch and, if poll is set, the others with pending tasks. One statement
// polls all lanes: nearly always there are none.
func (p *Processor) lanesToFill(ctx context.Context, full, poll, thorough bool) (requested, polled []*claims.Lane) {
	others := map[string]int64{}
	for _, lane := range p.tracker.Lanes() {
		if full {
			lane.RequestFullScan()
		}
		switch {
		case lane.TakeFetchRequest():
			requested = append(requested, lane)
		case !lane.Requeued:
			others[lane.Name] = lane.ScanStart()
		}
	}
	if !poll {
		return requested, nil
	}
	found, err := p.store.Poll(ctx, others, p.tracker.LaneNames(), thorough)
	if err != nil {
		if ctx.Err() == nil {
			p.log.Warn("poll failed", logging.Error(err))
		}
		for name := range others {
			p.tracker.Lane(name).ScanFailed()
		}
		return requested, nil
	}
	if last := p.polled.Load(); found.Thorough || last == nil || !last.Thorough {
		p.polled.Store(&found)
	}
	for name, lowest := range found.Again {
		p.tracker.Lane(name).LowerScanStart(lowest)
	}
	for name := range others {
		if _, again := found.Again[name]; again || slices.Contains(found.Lanes, name) {
			polled = append(polled, p.tracker.Lane(name))
		}
	}
	for _, name := range found.Requeued {
		polled = append(polled, p.tracker.Requeued(name))
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
		if lane.Requeued {
			return p.store.ClaimRequeued(ctx, id, lane.Name, slots)
		}
		found, err := p.store.Claim(ctx, id, lane.Name, slots, lowest)
		if err == nil && len(found) > 0 {
			lane.ScanEnded(found[len(found)-1].ID, len(found) == slots)
		} else if err == nil {
			lane.ScanEnded(lowest, false)
		}
		return found, err
	})
	lane.SetBacklog(claimed == slots)
	if err != nil {
		lane.ScanFailed()
	}
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
		claimed, err = p.claimInto(lane, func() ([]store.Claim, error) { return p.store.ClaimNext(ctx, id, next...) })
		if err != nil && ctx.Err() == nil {
			p.log.Warn("claim of next tasks failed", logging.Error(err))
		}
		if err != nil {
			lane.LowerScanStart(slices.Min(next)) // they are offered no more
		}
		if claimed < len(next) {
			p.tracker.Notify() // an earlier task of the key may be pending again
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

package workqueue

import (
	"sync"
	"time"

	"app238.com/inner/app/config"
)

// rateLimit is a token bucket for each name: a burst of events, then one an interval. Names with a full bucket use no
// memory.
type rateLimit struct {
	burst    int
	interval time.Duration

	mu sync.Mutex
	// fullAt is when each name's bucket will be full again.
	fullAt map[string]time.Time
	takes  int
}

// pruneInterval is the number of calls of take between removals of full buckets.
const pruneInterval = 1000

func newRateLimit(c config.WriteRateLimit) *rateLimit {
	return &rateLimit{burst: c.Burst, interval: c.Interval, fullAt: map[string]time.Time{}}
}

// take takes a token of name.
func (p *rateLimit) take(name string, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.fullAt[name].Before(now) {
		p.fullAt[name] = now
	}
	p.fullAt[name] = p.fullAt[name].Add(p.interval)
	if p.takes++; p.takes%pruneInterval == 0 {
		for other, full := range p.fullAt {
			if full.Before(now) {
				delete(p.fullAt, other)
			}
		}
	}
}

// reset fills the bucket of name.
func (p *rateLimit) reset(name string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.fullAt, name)
}

// wait returns how long until name has a token; zero if it has one.
func (p *rateLimit) wait(name string, now time.Time) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	full, ok := p.fullAt[name]
	if !ok {
		return 0
	}
	return max(0, full.Sub(now)-time.Duration(p.burst-1)*p.interval)
}

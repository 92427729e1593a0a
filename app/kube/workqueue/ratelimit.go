package workqueue

import (
	"sync"
	"time"

	"app238.com/inner/app/config"
)

// rateLimit slows names down to which something happens again and again: it may a number of times at once, and then once an
// interval. Names at rest cost no memory.
type rateLimit struct {
	burst    int
	interval time.Duration

	mu sync.Mutex
	// spent holds when each name will have got back all that it took.
	fullAt map[string]time.Time
	takes  int
}

// sweepEvery is after how many calls of take names that have everything back are forgotten.
const pruneInterval = 1000

func newRateLimit(c config.WriteRateLimit) *rateLimit {
	return &rateLimit{burst: c.Burst, interval: c.Interval, fullAt: map[string]time.Time{}}
}

// take notes that it happened to name once more.
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

// reset has name begin anew.
func (p *rateLimit) reset(name string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.fullAt, name)
}

// wait returns how long name has to wait before it may happen again; zero for not at all.
func (p *rateLimit) wait(name string, now time.Time) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	full, ok := p.fullAt[name]
	if !ok {
		return 0
	}
	return max(0, full.Sub(now)-time.Duration(p.burst-1)*p.interval)
}

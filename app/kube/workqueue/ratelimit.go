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
	spent  map[string]time.Time
	sweeps int
}

// sweepEvery is after how many calls of take names that have everything back are forgotten.
const sweepEvery = 1000

func newRateLimit(c config.WriteRateLimit) *rateLimit {
	return &rateLimit{burst: c.Burst, interval: c.Interval, spent: map[string]time.Time{}}
}

// take notes that it happened to name once more.
func (p *rateLimit) take(name string, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.spent[name].Before(now) {
		p.spent[name] = now
	}
	p.spent[name] = p.spent[name].Add(p.interval)
	if p.sweeps++; p.sweeps%sweepEvery == 0 {
		for other, paid := range p.spent {
			if paid.Before(now) {
				delete(p.spent, other)
			}
		}
	}
}

// reset has name begin anew.
func (p *rateLimit) reset(name string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.spent, name)
}

// wait returns how long name has to wait before it may happen again; zero for not at all.
func (p *rateLimit) wait(name string, now time.Time) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	paid, ok := p.spent[name]
	if !ok {
		return 0
	}
	return max(0, paid.Sub(now)-time.Duration(p.burst-1)*p.interval)
}

package loop

import (
	"sync"
	"time"

	"app238.com/inner/app/config"
)

// pace slows names down to which something happens again and again: it may a number of times at once, and then once an
// interval. Names at rest cost no memory.
type pace struct {
	burst    int
	interval time.Duration

	mu sync.Mutex
	// debts holds when each name will have got back all that it spent.
	debts  map[string]time.Time
	sweeps int
}

// sweepEvery is after how many charges names without debt are forgotten.
const sweepEvery = 1000

func newPace(c config.SlowDown) *pace {
	return &pace{burst: c.Burst, interval: c.Interval, debts: map[string]time.Time{}}
}

// charge notes that it happened to name once more.
func (p *pace) charge(name string, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.debts[name].Before(now) {
		p.debts[name] = now
	}
	p.debts[name] = p.debts[name].Add(p.interval)
	if p.sweeps++; p.sweeps%sweepEvery == 0 {
		for other, paid := range p.debts {
			if paid.Before(now) {
				delete(p.debts, other)
			}
		}
	}
}

// forgive has name begin anew.
func (p *pace) forgive(name string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.debts, name)
}

// wait returns how long name has to wait before it may happen again; zero for not at all.
func (p *pace) wait(name string, now time.Time) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	paid, ok := p.debts[name]
	if !ok {
		return 0
	}
	return max(0, paid.Sub(now)-time.Duration(p.burst-1)*p.interval)
}

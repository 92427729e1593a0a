// Package check checks claimed domains, many at a time, and writes down what came of it.
package check

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"app238.com/inner/app/config"
	"app238.com/inner/app/guard"
	"app238.com/inner/app/observe"
	"app238.com/inner/modules/domains/internal/life"
	"app238.com/inner/modules/domains/internal/metrics"
	"app238.com/inner/modules/domains/internal/store"
	"app238.com/inner/modules/domains/internal/verify"
)

// batchSize is the most results that are written at once.
const batchSize = 256

// claimPause is how long places that are given back wait for their fellows: one statement claims for all of them.
const claimPause = 20 * time.Millisecond

// releaseTimeout bounds giving claims back after the work was cut short.
const releaseTimeout = 3 * time.Second

// Checker checks domains.
type Checker struct {
	atOnce   int
	lease    time.Duration
	log      *zap.Logger
	metrics  *metrics.Metrics
	places   *places
	policy   life.Policy
	recent   *recent
	store    *store.Store
	verifier *verify.Verifier

	mu      sync.Mutex
	changed func(name, user string)
	// news says that there may be something to check.
	news chan struct{}
}

// New returns a checker.
func New(c *config.Config, log *zap.Logger, m *metrics.Metrics, s *store.Store, v *verify.Verifier) *Checker {
	return &Checker{
		atOnce: c.Domains.Checks, log: log.Named("processor"), metrics: m, policy: life.NewPolicy(c), store: s, verifier: v,
		lease: store.Lease(c), news: make(chan struct{}, 1), places: newPlaces(c.Domains.Checks), recent: newRecent(),
	}
}

// OnChange has changed called with the name and the user of each domain that this process has found to be served from now on, or not any
// more. It must return quickly.
func (c *Checker) OnChange(changed func(name, user string)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.changed = changed
}

// Summary counts checks by what came of them.
type Summary map[life.Kind]int

// run checks what next claims, and writes results in as large batches as come while the last one is written. A hint has next asked
// once more.
func (c *Checker) run(ctx context.Context, hint <-chan struct{}, next source) (Summary, error) {
	summary := Summary{}
	results := make(chan store.Checked, c.atOnce)
	stages, ctx := errgroup.WithContext(ctx)
	stages.Go(func() error {
		defer close(results)
		return guard.Call(func() error { return c.checkAll(ctx, hint, next, results) })
	})
	stages.Go(func() error {
		for first := range results {
			batch := append([]store.Checked{first}, waiting(results, batchSize-1)...)
			// What was found out is written also at the end of ctx.
			err := guard.Call(func() error { return c.write(context.WithoutCancel(ctx), batch, summary) })
			if err != nil {
				c.release(ctx, batch)
				// The checks end because this error ends ctx; what they still send cannot be written.
				for rest := range results {
					c.release(ctx, []store.Checked{rest})
				}
				return err
			}
		}
		return nil
	})
	return summary, stages.Wait()
}

// waiting takes what lies in the channel, at most limit.
func waiting(results <-chan store.Checked, limit int) []store.Checked {
	var batch []store.Checked
	for len(batch) < limit {
		select {
		case r, ok := <-results:
			if !ok {
				return batch
			}
			batch = append(batch, r)
		default:
			return batch
		}
	}
	return batch
}

// checkAll checks what next claims until there is nothing left or ctx ends. What is given back then is due still: to claim once more
// would be to claim without end.
func (c *Checker) checkAll(ctx context.Context, hint <-chan struct{}, next source, results chan<- store.Checked) error {
	// A check that fails says so in its result; only the end of ctx ends the others.
	var checks sync.WaitGroup
	defer checks.Wait()
	var running atomic.Int64
	for ctx.Err() == nil {
		changed, idle := c.places.changed(), running.Load() == 0
		claimed, more, err := next(ctx)
		received := time.Now()
		for _, one := range claimed {
			running.Add(1)
			checks.Go(func() {
				defer c.places.announce()
				defer running.Add(-1)
				defer one.release()
				c.check(ctx, one.Claimed, received, results)
			})
		}
		if err != nil {
			return err
		}
		if len(claimed) > 0 {
			continue
		}
		if !more && idle {
			break
		}
		wait(ctx, changed, hint)
	}
	checks.Wait()
	return ctx.Err()
}

// wait waits until there may be something to claim, and a moment longer for what comes with it.
func wait(ctx context.Context, changed, hint <-chan struct{}) {
	select {
	case <-changed:
	case <-hint:
	case <-ctx.Done():
		return
	}
	timer := time.NewTimer(claimPause)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// check checks one domain, or gives its claim back where ctx ends before. The claim of a check that fails is left to run out:
// given back, the domain would be due at once, again and again.
func (c *Checker) check(ctx context.Context, claim store.Claimed, received time.Time, results chan<- store.Checked) {
	begin := time.Now()
	var outcome life.Outcome
	var after life.State
	err := guard.Call(func() (err error) {
		outcome, err = c.verifier.Check(ctx, claim.Claim)
		after = c.policy.Advance(claim.State, outcome, claim.Now.Add(time.Since(received)))
		return err
	})
	switch {
	case err != nil && ctx.Err() != nil:
		c.release(ctx, []store.Checked{{Claimed: claim}})
		return
	case err != nil:
		c.log.Error("custom domain could not be checked", zap.String("cdid", claim.CDID), observe.Error(err))
		return
	}
	c.metrics.Checks.WithLabelValues(string(outcome.Kind)).Inc()
	c.metrics.CheckTime.Observe(time.Since(begin).Seconds())
	results <- store.Checked{Claimed: claim, After: after}
}

// write writes results. Where one of them would be a second holder of its host, they are written one by one.
func (c *Checker) write(ctx context.Context, batch []store.Checked, summary Summary) error {
	err := c.store.Write(ctx, batch)
	if store.IsTaken(err) {
		if len(batch) > 1 {
			for _, one := range batch {
				if err := c.write(ctx, []store.Checked{one}, summary); err != nil {
					return err
				}
			}
			return nil
		}
		// First come, first served: whoever holds the host keeps it until it is withdrawn.
		held := life.Outcome{Kind: life.Wrong, Text: "the same domain is served for another entry"}
		batch[0].After = c.policy.Advance(batch[0].State, held, batch[0].Now)
		err = c.store.Write(ctx, batch)
	}
	if err != nil {
		return err
	}
	c.tell(batch, summary)
	return nil
}

// tell counts and logs written results.
func (c *Checker) tell(batch []store.Checked, summary Summary) {
	c.mu.Lock()
	changed := c.changed
	c.mu.Unlock()
	for _, r := range batch {
		summary[r.After.Last.Kind]++
		if r.State.Verified == r.After.Verified {
			continue
		}
		message := "custom domain verified"
		if r.After.Verified {
			c.recent.add(r.UserUID, r.CDID)
		} else {
			message = "custom domain withdrawn"
		}
		c.log.Info(message, zap.String("cdid", r.CDID), zap.String("domain", r.Claim.Host), zap.String("answer", r.After.Last.Text))
		if changed != nil {
			changed(r.Name, r.UserUID)
		}
	}
}

// release gives claims back; where that fails they run out.
func (c *Checker) release(ctx context.Context, batch []store.Checked) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), releaseTimeout)
	defer cancel()
	claims := make([]store.Claimed, len(batch))
	for i, r := range batch {
		claims[i] = r.Claimed
	}
	if err := c.store.Release(ctx, claims); err != nil {
		c.log.Debug("claims of custom domains run out by themselves", observe.Error(err))
	}
}

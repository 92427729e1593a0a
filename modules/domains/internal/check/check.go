// Package check claims domains, checks them concurrently, and writes the results.
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
	"app238.com/inner/app/logging"
	"app238.com/inner/modules/domains/internal/lifecycle"
	"app238.com/inner/modules/domains/internal/metrics"
	"app238.com/inner/modules/domains/internal/resolve"
	"app238.com/inner/modules/domains/internal/store"
)

// batchSize is the maximum number of results of one write.
const batchSize = 256

// claimDelay is how long released slots are collected, so that one statement claims for all of them.
const claimDelay = 20 * time.Millisecond

// releaseTimeout limits releasing claims after a cancellation.
const releaseTimeout = 3 * time.Second

// Checker checks domains.
type Checker struct {
	concurrency int
	lease       time.Duration
	log         *zap.Logger
	metrics     *metrics.Metrics
	slots       *slots
	policy      lifecycle.Policy
	recent      *recent
	store       *store.Store
	verifier    *resolve.Verifier

	mu       sync.Mutex
	onChange func(name, user string)
	// notifications receives a value when domains may be due.
	notifications chan struct{}
}

// New returns a checker.
func New(c *config.Config, log *zap.Logger, m *metrics.Metrics, s *store.Store, v *resolve.Verifier) *Checker {
	return &Checker{
		concurrency: c.Domains.Checks, log: log.Named("processor"), metrics: m, policy: lifecycle.NewPolicy(c), store: s, verifier: v,
		lease: store.Lease(c), notifications: make(chan struct{}, 1), slots: newSlots(c.Domains.Checks), recent: newRecent(),
	}
}

// OnChange sets the function that is called with the name and the user of each domain that a check of this process has
// verified or withdrawn. It must return quickly.
func (c *Checker) OnChange(onChange func(name, user string)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.onChange = onChange
}

// Summary counts checks by result.
type Summary map[lifecycle.Kind]int

// run checks the domains that next claims. It writes in one batch all results that arrive during the previous write. A hint
// makes it call next again.
func (c *Checker) run(ctx context.Context, hint <-chan struct{}, next claimFunc) (Summary, error) {
	summary := Summary{}
	results := make(chan store.Checked, c.concurrency)
	stages, ctx := errgroup.WithContext(ctx)
	stages.Go(func() error {
		defer close(results)
		return guard.Call(func() error { return c.claimAndCheck(ctx, hint, next, results) })
	})
	stages.Go(func() error {
		for first := range results {
			batch := append([]store.Checked{first}, drain(results, batchSize-1)...)
			// Results are written even after ctx ended.
			err := guard.Call(func() error { return c.writeResults(context.WithoutCancel(ctx), batch, summary) })
			if err != nil {
				c.release(ctx, batch)
				// The error cancels ctx and thus the checks; their remaining results cannot be written.
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

// drain receives up to limit results without waiting.
func drain(results <-chan store.Checked, limit int) []store.Checked {
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

// claimAndCheck checks the domains that next claims, until there are none or ctx ends. After that it claims no more, because the
// released domains are still due and would be claimed again and again.
func (c *Checker) claimAndCheck(ctx context.Context, hint <-chan struct{}, next claimFunc, results chan<- store.Checked) error {
	// A failed check does not cancel the others.
	var checks sync.WaitGroup
	defer checks.Wait()
	var running atomic.Int64
	for ctx.Err() == nil {
		changed, idle := c.slots.changed(), running.Load() == 0
		claimed, more, err := next(ctx)
		received := time.Now()
		for _, one := range claimed {
			running.Add(1)
			checks.Go(func() {
				defer c.slots.broadcast()
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
		awaitChange(ctx, changed, hint)
	}
	checks.Wait()
	return ctx.Err()
}

// awaitChange waits until there may be domains to claim, and claimDelay longer for further ones.
func awaitChange(ctx context.Context, changed, hint <-chan struct{}) {
	select {
	case <-changed:
	case <-hint:
	case <-ctx.Done():
		return
	}
	timer := time.NewTimer(claimDelay)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// check checks one domain, or releases its claim if ctx ends before. The claim of a failed check is left to expire: if it were
// released, the domain would be due at once and fail again.
func (c *Checker) check(ctx context.Context, claim store.Claimed, received time.Time, results chan<- store.Checked) {
	begin := time.Now()
	var outcome lifecycle.Outcome
	var after lifecycle.State
	err := guard.Call(func() (err error) {
		outcome, err = c.verifier.Check(ctx, claim.Claim)
		after = c.policy.Next(claim.State, outcome, claim.Now.Add(time.Since(received)))
		return err
	})
	switch {
	case err != nil && ctx.Err() != nil:
		c.release(ctx, []store.Checked{{Claimed: claim}})
		return
	case err != nil:
		c.log.Error("check of custom domain failed", zap.String("cdid", claim.CDID), logging.Error(err))
		return
	}
	c.metrics.Checks.WithLabelValues(string(outcome.Kind)).Inc()
	c.metrics.CheckDuration.Observe(time.Since(begin).Seconds())
	results <- store.Checked{Claimed: claim, After: after}
}

// writeResults writes results. If the host of one of them is verified for another domain, it writes them one by one.
func (c *Checker) writeResults(ctx context.Context, batch []store.Checked, summary Summary) error {
	err := c.store.Write(ctx, batch)
	if store.IsHostConflict(err) {
		if len(batch) > 1 {
			for _, one := range batch {
				if err := c.writeResults(ctx, []store.Checked{one}, summary); err != nil {
					return err
				}
			}
			return nil
		}
		// The first verified domain keeps the host until it is withdrawn.
		conflict := lifecycle.Outcome{Kind: lifecycle.Invalid, Text: "the same domain is served for another entry"}
		batch[0].After = c.policy.Next(batch[0].State, conflict, batch[0].Now)
		err = c.store.Write(ctx, batch)
	}
	if err != nil {
		return err
	}
	c.report(batch, summary)
	return nil
}

// report counts and logs written results.
func (c *Checker) report(batch []store.Checked, summary Summary) {
	c.mu.Lock()
	onChange := c.onChange
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
		c.log.Info(message, zap.String("cdid", r.CDID), zap.String("domain", r.Claim.Host), zap.String("reason", r.After.Last.Text))
		if onChange != nil {
			onChange(r.Name, r.UserUID)
		}
	}
}

// release releases claims; if that fails, they expire.
func (c *Checker) release(ctx context.Context, batch []store.Checked) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), releaseTimeout)
	defer cancel()
	claims := make([]store.Claimed, len(batch))
	for i, r := range batch {
		claims[i] = r.Claimed
	}
	if err := c.store.Release(ctx, claims); err != nil {
		c.log.Debug("release of claims failed", logging.Error(err))
	}
}

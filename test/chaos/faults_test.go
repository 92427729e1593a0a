package chaos_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"app238.com/inner/test/chaos/echo"
	"app238.com/inner/test/chaos/faults"
	"app238.com/inner/test/stack/postgres"
)

// killEvery is the time between two kills.
const killEvery = time.Second

// standstill is how long a replica is frozen.
const standstill = takeoverAfter + 1500*time.Millisecond

// mayhem does to a fleet what operations do, for a span of time.
type mayhem struct {
	t     *testing.T
	fleet *fleet
	span  time.Duration

	// frozen is the replica that stood still, and posted are the tasks that it was given for that.
	frozen *replica
	posted []acceptance
	// backends is how many were frozen.
	backends, failovers int
}

// chance returns a source of numbers that follow from the seed and the purpose.
func (m *mayhem) chance(purpose uint64) *rand.Rand {
	return rand.New(rand.NewPCG(m.fleet.fixture.seed, purpose))
}

// run returns when the span is over, everything has happened, and three replicas run again.
func (m *mayhem) run(ctx context.Context) error {
	broken := make(chan struct{})
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return m.kill(ctx, broken) })
	group.Go(func() error {
		defer close(broken)
		return m.breakOneByOne(ctx)
	})
	return group.Wait()
}

// breakOneByOne stops the database, freezes a replica, kills the database for longer than a lease lasts, freezes what
// serves its sessions for as long, and has it fail over to a standby and back. One comes after the other, so that each is
// seen to be survived.
func (m *mayhem) breakOneByOne(ctx context.Context) error {
	server := m.fleet.fixture.server
	faults.Pause(ctx, m.span/8)
	if err := errors.Join(server.Stop(ctx), ctx.Err()); err != nil {
		return fmt.Errorf("stop the database: %w", err)
	}
	faults.Pause(ctx, 300*time.Millisecond)
	if err := server.Restart(ctx); err != nil {
		return fmt.Errorf("restart the database: %w", err)
	}
	faults.Pause(ctx, m.span/8)
	if err := m.freeze(ctx); err != nil {
		return fmt.Errorf("freeze a replica: %w", err)
	}
	faults.Pause(ctx, m.span/16)
	if err := server.Kill(); err != nil {
		return fmt.Errorf("kill the database: %w", err)
	}
	faults.Pause(ctx, takeoverAfter*5/6)
	if err := server.Restart(ctx); err != nil {
		return fmt.Errorf("restart the killed database: %w", err)
	}
	faults.Pause(ctx, m.span/16)
	if err := m.freezeBackends(ctx); err != nil {
		return fmt.Errorf("freeze the backends: %w", err)
	}
	for range 2 {
		faults.Pause(ctx, m.span/16)
		if err := m.failOver(ctx); err != nil {
			return fmt.Errorf("failover: %w", err)
		}
	}
	return nil
}

// freezeBackends stops whatever serves a session, for longer than a lease lasts: the answers to what was sent do not come,
// and connections that are made anew work.
func (m *mayhem) freezeBackends(ctx context.Context) error {
	frozen, thaw, err := m.fleet.fixture.server.FreezeBackends(ctx, "platform", "")
	for ; err == nil && frozen == 0 && ctx.Err() == nil; faults.Pause(ctx, pollInterval) { // none has connected again yet
		frozen, thaw, err = m.fleet.fixture.server.FreezeBackends(ctx, "platform", "")
	}
	if err != nil {
		return err
	}
	m.backends = frozen
	faults.Pause(ctx, takeoverAfter*3/2)
	return thaw()
}

// failOver has a standby take the server's place. For a while the address leads to the standby, which takes no writes.
func (m *mayhem) failOver(ctx context.Context) error {
	w := m.fleet.fixture
	next, err := w.server.FailOver(ctx, func(standby *postgres.Server) {
		w.address.LeadTo(m.t, standby.DSN("platform"))
		faults.Pause(ctx, takeoverAfter/2)
	})
	if err != nil {
		return err
	}
	before := w.server
	w.server = next
	m.failovers++
	return before.Close()
}

// kill kills a replica by chance every second until the span is over and everything was broken. That new ones start
// slowly delays no kill, as long as one is left.
func (m *mayhem) kill(ctx context.Context, broken <-chan struct{}) error {
	ticker := time.NewTicker(killEvery)
	defer ticker.Stop()
	chance, begin := m.chance(1), time.Now()
	var replacements errgroup.Group
	for over := false; !over && ctx.Err() == nil; {
		select {
		case <-broken:
			over = time.Since(begin) > m.span
		default:
		}
		if slot, r, ok := m.fleet.take(chance); ok && !over {
			warning := time.Duration(chance.Int64N(int64(killEvery))) * time.Duration(chance.IntN(2))
			replacements.Go(func() error { return m.fleet.killAndReplace(ctx, slot, r, warning) })
		}
		select {
		case <-ctx.Done():
		case <-ticker.C:
		}
	}
	return replacements.Wait()
}

// freeze stops a replica in the middle of a job for longer than others wait, and lets it go on.
func (m *mayhem) freeze(ctx context.Context) error {
	chance := m.chance(2)
	_, r, ok := m.fleet.take(chance)
	for ; !ok; _, r, ok = m.fleet.take(chance) {
		if faults.Pause(ctx, pollInterval); ctx.Err() != nil {
			return ctx.Err()
		}
	}
	m.frozen = r
	if err := m.occupy(ctx, r); err != nil {
		return err
	}
	if err := r.freeze(); err != nil {
		return err
	}
	faults.Pause(ctx, standstill)
	if err := r.thaw(); err != nil {
		return err
	}
	// It has to show what it does now.
	faults.Pause(ctx, time.Second)
	r.busy.Store(false)
	return nil
}

// occupy gives a replica tasks until it is in the middle of one that takes a while.
func (m *mayhem) occupy(ctx context.Context, r *replica) error {
	for i := 0; ctx.Err() == nil; i++ {
		key := fmt.Sprintf("standstill-%d", i)
		a, err := acceptUntilAnswered(ctx, echo.Note{Key: key, Seq: 1, Token: key, Hold: 1500}, func() *replica { return r })
		if err != nil {
			return err
		}
		m.posted = append(m.posted, a)
		for begin := time.Now(); time.Since(begin) < time.Second; faults.Pause(ctx, pollInterval) {
			of, err := r.executions()
			if err != nil {
				return err
			}
			if slices.ContainsFunc(of, func(e *execution) bool {
				return e.outcome == "" && strings.HasPrefix(e.key, "standstill") && time.Since(e.begin) < time.Second
			}) {
				return nil
			}
		}
	}
	return ctx.Err()
}

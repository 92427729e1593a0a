package check

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"app238.com/inner/app/guard"
	"app238.com/inner/modules/domains/internal/lifecycle"
	"app238.com/inner/modules/domains/internal/store"
)

func TestPanicOfAStageIsAnError(t *testing.T) {
	t.Parallel()
	c := &Checker{concurrency: 1, log: zap.NewNop(), slots: newSlots(1)}
	_, err := c.run(t.Context(), nil, func(context.Context) ([]slotClaim, bool, error) { panic("test") })
	_, panicked := errors.AsType[*guard.PanicError](err)
	require.True(t, panicked, "%v", err)
}

// acquireAll acquires slots until none is left, and returns their number.
func acquireAll(p *slots, reserved int, next func(i int) store.Candidate) int {
	for i := 0; ; i++ {
		if _, ok := p.acquire(next(i), reserved); !ok {
			return i
		}
	}
}

func TestUsersAndZonesHaveAShareOfTheSlots(t *testing.T) {
	t.Parallel()
	p := newSlots(160)
	require.Equal(t, 10, acquireAll(p, 0, func(i int) store.Candidate {
		return store.Candidate{UserUID: "greedy", Host: fmt.Sprintf("www.user%d.com", i)}
	}))
	require.Equal(t, 10, acquireAll(p, 0, func(i int) store.Candidate {
		return store.Candidate{UserUID: fmt.Sprint("puppet", i), Host: fmt.Sprintf("www.zone%d.greedy.co.uk", i)}
	}))
	available, excluded := p.available(false)
	require.Equal(t, 140, available)
	require.Equal(t, store.Excluded{Users: []string{"greedy"}, Zones: []string{"greedy.co.uk"}}, excluded)

	others := func(unanswered int64) func(i int) store.Candidate {
		return func(i int) store.Candidate {
			return store.Candidate{UserUID: fmt.Sprint("u", i), Host: fmt.Sprintf("u%d.co.uk", i), Unanswered: unanswered}
		}
	}
	require.Equal(t, 120, acquireAll(p, 20, others(0)))
	require.Equal(t, 20, acquireAll(p, 0, func(i int) store.Candidate { return others(0)(1000 + i) }))
	require.Equal(t, 20, acquireAll(p, 0, others(lifecycle.SlowAfter)), "slow domains have slots of their own")
}

func TestReleasedSlotIsAcquiredAgain(t *testing.T) {
	t.Parallel()
	p := newSlots(1)
	w := store.Candidate{UserUID: "u1", Host: "www.user.com"}
	release, ok := p.acquire(w, 0)
	require.True(t, ok)
	_, ok = p.acquire(w, 0)
	require.False(t, ok)
	changed := p.changed()
	release()
	p.broadcast()
	<-changed
	_, ok = p.acquire(w, 0)
	require.True(t, ok)
}

func TestRecentDomainsExpireAndAreLimited(t *testing.T) {
	t.Parallel()
	now := time.Now()
	r := newRecent()
	r.now = func() time.Time { return now }
	r.add("a")
	now = now.Add(recentFor / 2)
	r.add("b")
	require.ElementsMatch(t, []string{"a", "b"}, r.list())
	now = now.Add(recentFor/2 + time.Second)
	require.Equal(t, []string{"b"}, r.list())
	now = now.Add(recentFor)
	require.Empty(t, r.list())
	for i := range 2 * recentLimit {
		r.add(fmt.Sprint(i))
	}
	require.Len(t, r.list(), recentLimit)
}

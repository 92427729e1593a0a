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
	require.Equal(t, store.Excluded{Users: []string{"greedy"}, Zones: []string{"greedy.co.uk"}, Pairs: []store.UserZone{}}, excluded)

	others := func(unanswered int64) func(i int) store.Candidate {
		return func(i int) store.Candidate {
			return store.Candidate{UserUID: fmt.Sprint("u", i), Host: fmt.Sprintf("u%d.co.uk", i), Unanswered: unanswered}
		}
	}
	require.Equal(t, 120, acquireAll(p, 20, others(0)))
	require.Equal(t, 20, acquireAll(p, 0, func(i int) store.Candidate { return others(0)(1000 + i) }))
	require.Equal(t, 20, acquireAll(p, 0, others(lifecycle.SlowAfter)), "slow domains have slots of their own")
}

func TestOneUserNeverHasAllSlotsOfAZone(t *testing.T) {
	t.Parallel()
	under := func(user string) func(i int) store.Candidate {
		return func(i int) store.Candidate {
			return store.Candidate{UserUID: user, Host: fmt.Sprintf("x%d.victim.com", i)}
		}
	}
	for total, limit := range map[int]int{2: 1, 16: 1, 48: 1, 160: 5} {
		p := newSlots(total)
		require.Equal(t, limit, acquireAll(p, 0, under("greedy")), total)
		_, excluded := p.available(false)
		require.Equal(t, []store.UserZone{{UserUID: "greedy", Zone: "victim.com"}}, excluded.Pairs)
		require.Empty(t, excluded.Zones)
		require.Equal(t, limit, acquireAll(p, 0, under("victim")), total)
		p = newSlots(total)
		slow := func(i int) store.Candidate {
			w := under("greedy")(i)
			w.Unanswered = lifecycle.SlowAfter
			return w
		}
		require.Less(t, acquireAll(p, 0, slow), p.slow.total, "some of the few slow slots are left")
	}
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

func TestRecentDomainsExpire(t *testing.T) {
	t.Parallel()
	now := time.Now()
	r := newRecent()
	r.now = func() time.Time { return now }
	r.add("u1", "a")
	now = now.Add(recentFor / 2)
	r.add("u1", "b")
	require.ElementsMatch(t, []string{"a", "b"}, r.list())
	now = now.Add(recentFor/2 + time.Second)
	require.Equal(t, []string{"b"}, r.list())
	now = now.Add(recentFor)
	require.Empty(t, r.list())
}

func TestOneUsersRecentDomainsLeaveRoomForOthers(t *testing.T) {
	t.Parallel()
	now := time.Now()
	r := newRecent()
	r.now = func() time.Time { return now }
	add := func(n int, user string) {
		for i := range n {
			now = now.Add(time.Millisecond)
			r.add(user, user+fmt.Sprint(i))
		}
	}
	add(2*recentLimit, "greedy")
	require.Len(t, r.list(), recentLimit)
	require.Contains(t, r.list(), "greedy"+fmt.Sprint(2*recentLimit-1), "the oldest ones are dropped")
	add(3, "other")
	add(recentLimit, "greedy")
	require.Len(t, r.list(), recentLimit)
	require.Subset(t, r.list(), []string{"other0", "other1", "other2"})
}

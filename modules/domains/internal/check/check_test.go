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
	"app238.com/inner/modules/domains/internal/life"
	"app238.com/inner/modules/domains/internal/store"
)

func TestAPanicInAStageOfChecksIsTheErrorOfTheirRun(t *testing.T) {
	t.Parallel()
	c := &Checker{atOnce: 1, log: zap.NewNop(), places: newPlaces(1)}
	_, err := c.run(t.Context(), nil, func(context.Context) ([]held, bool, error) { panic("amiss") })
	_, panicked := errors.AsType[*guard.PanicError](err)
	require.True(t, panicked, "%v", err)
}

// taken takes places until there are none left, and returns how many there were.
func taken(p *places, spare int, next func(i int) store.Waiting) int {
	for i := 0; ; i++ {
		if _, ok := p.take(next(i), spare); !ok {
			return i
		}
	}
}

func TestNobodyHasMoreThanAShareOfThePlaces(t *testing.T) {
	t.Parallel()
	p := newPlaces(160)
	require.Equal(t, 10, taken(p, 0, func(i int) store.Waiting {
		return store.Waiting{UserUID: "greedy", Host: fmt.Sprintf("www.user%d.com", i)}
	}))
	require.Equal(t, 10, taken(p, 0, func(i int) store.Waiting {
		return store.Waiting{UserUID: fmt.Sprint("puppet", i), Host: fmt.Sprintf("www.zone%d.greedy.co.uk", i)}
	}))
	left, full := p.left(false)
	require.Equal(t, 140, left)
	require.Equal(t, store.Full{Users: []string{"greedy"}, Zones: []string{"greedy.co.uk"}, Pairs: []store.UserZone{}}, full)

	others := func(unanswered int64) func(i int) store.Waiting {
		return func(i int) store.Waiting {
			return store.Waiting{UserUID: fmt.Sprint("u", i), Host: fmt.Sprintf("u%d.co.uk", i), Unanswered: unanswered}
		}
	}
	require.Equal(t, 120, taken(p, 20, others(0)))
	require.Equal(t, 20, taken(p, 0, func(i int) store.Waiting { return others(0)(1000 + i) }))
	require.Equal(t, 20, taken(p, 0, others(life.SlowAfter)), "the slow ones have places of their own")
}

func TestADomainsPlacesAreNeverOneUsersAlone(t *testing.T) {
	t.Parallel()
	under := func(user string) func(i int) store.Waiting {
		return func(i int) store.Waiting { return store.Waiting{UserUID: user, Host: fmt.Sprintf("x%d.victim.com", i)} }
	}
	for total, most := range map[int]int{2: 1, 16: 1, 48: 1, 160: 5} {
		p := newPlaces(total)
		require.Equal(t, most, taken(p, 0, under("greedy")), total)
		_, full := p.left(false)
		require.Equal(t, []store.UserZone{{UserUID: "greedy", Zone: "victim.com"}}, full.Pairs)
		require.Empty(t, full.Zones)
		require.Equal(t, most, taken(p, 0, under("victim")), total)
		p = newPlaces(total)
		slow := func(i int) store.Waiting {
			w := under("greedy")(i)
			w.Unanswered = life.SlowAfter
			return w
		}
		require.Less(t, taken(p, 0, slow), p.slow.total, "of few slow places too, some are left")
	}
}

func TestAPlaceThatIsGivenBackIsTakenAgain(t *testing.T) {
	t.Parallel()
	p := newPlaces(1)
	w := store.Waiting{UserUID: "u1", Host: "www.user.com"}
	release, ok := p.take(w, 0)
	require.True(t, ok)
	_, ok = p.take(w, 0)
	require.False(t, ok)
	changed := p.changed()
	release()
	p.announce()
	<-changed
	_, ok = p.take(w, 0)
	require.True(t, ok)
}

func TestADomainIsRecentForAWhileAndThenCostsNothing(t *testing.T) {
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
	require.Contains(t, r.list(), "greedy"+fmt.Sprint(2*recentLimit-1), "the oldest ones went")
	add(3, "honest")
	add(recentLimit, "greedy")
	require.Len(t, r.list(), recentLimit)
	require.Subset(t, r.list(), []string{"honest0", "honest1", "honest2"})
}

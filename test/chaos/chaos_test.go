package chaos_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"app238.com/inner/test/chaos/echo"
	"app238.com/inner/test/chaos/journal"
	"app238.com/inner/test/proxy"
)

// producers post tasks at the same time, each to keys of its own.
const producers = 16

// silentEvery is the number of tasks of which one ignores its context.
const silentEvery = 40

// load is what is posted: in waves that come faster than they can be run, so that a kill finds much in hand.
type load struct {
	tasks, keys, waves int
	span               time.Duration
}

func newLoad() load {
	if long() {
		return load{tasks: 5000, keys: 200, waves: 15, span: 75 * time.Second}
	}
	return load{tasks: 1200, keys: 60, waves: 4, span: 10 * time.Second}
}

func TestFaultsLoseDuplicateAndReorderNothing(t *testing.T) {
	t.Parallel()
	w, l := newFixture(t), newLoad()
	w.workers = 2
	lossy := proxy.New(t, w.dsn)
	w.dsn = lossy.DSN
	lossy.LoseOfEveryKind()
	f := newFleet(t, w)
	m := &mayhem{t: t, fleet: f, span: l.span}
	ctx, cancel := context.WithTimeout(t.Context(), l.span+2*timeout)
	defer cancel()
	begin := time.Now()
	var accepted []acceptance
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return m.run(ctx) })
	group.Go(func() (err error) {
		accepted, err = l.post(ctx, f)
		return err
	})
	require.NoError(t, group.Wait())
	faults := time.Since(begin)
	accepted = append(accepted, m.posted...)
	w.awaitFinished(t, 2*timeout)
	converged := time.Since(begin) - faults
	f.terminate(t)

	replicas := f.replicas()
	h := &history{executions: executions(t, replicas...), accepted: accepted, rows: w.rows(t)}
	found := h.check()
	t.Logf("seed %d: faults for %s, the rest done %s later", w.seed, faults.Round(time.Millisecond),
		converged.Round(time.Millisecond))
	report(t, f, h)
	t.Logf("%d backends frozen, %d failovers", m.backends, m.failovers)
	_, lost := lossy.Outstanding()
	t.Logf("%d answers lost, to %d kinds of statements; %d replicas got a stop signal before they were killed", lost,
		len(lossy.Kinds()), f.warned)
	requireKinds(t, lossy)
	require.Positive(t, m.backends)
	require.Empty(t, found, "%d violations:\n%s", len(found), strings.Join(found[:min(len(found), 30)], "\n"))
	require.Positive(t, cutShort(m.frozen, h), "the standstill met no execution: the test shows nothing")
	w.requireSound(t)
}

// post has all tasks accepted, each key's one after the other.
func (l load) post(ctx context.Context, f *fleet) ([]acceptance, error) {
	var accepted [producers][]acceptance
	group, ctx := errgroup.WithContext(ctx)
	for p := range producers {
		group.Go(func() (err error) {
			accepted[p], err = l.produce(ctx, f, p)
			return err
		})
	}
	err := group.Wait()
	return slices.Concat(accepted[:]...), err
}

// produce posts one producer's part.
func (l load) produce(ctx context.Context, f *fleet, producer int) (accepted []acceptance, err error) {
	chance := rand.New(rand.NewPCG(f.fixture.seed, uint64(100+producer)))
	keys := (l.keys - producer + producers - 1) / producers
	seqs := make([]int, keys)
	wave := time.NewTicker(l.span / time.Duration(l.waves))
	defer wave.Stop()
	tasks := (l.tasks - producer + producers - 1) / producers
	for i := range tasks {
		if i%(tasks/l.waves+1) == 0 && i > 0 {
			<-wave.C
		}
		if i%silentEvery == 0 {
			key := fmt.Sprintf("%s%d-%d", silentKeys, producer, i)
			n := echo.Note{Key: key, Seq: 1, Token: fmt.Sprintf("%d-%s", f.fixture.seed, key), Hold: 1000, Deaf: true}
			a, err := acceptUntilAnswered(ctx, n, func() *replica { return f.pick(chance) })
			if err != nil {
				return nil, err
			}
			accepted = append(accepted, a)
			continue
		}
		k := chance.IntN(keys)
		seqs[k]++
		key := fmt.Sprintf("key-%d", producer+producers*k)
		n := echo.Note{Key: key, Seq: seqs[k], Token: fmt.Sprintf("%d-%s-%d", f.fixture.seed, key, seqs[k])}
		a, err := acceptUntilAnswered(ctx, n, func() *replica { return f.pick(chance) })
		if err != nil {
			return nil, err
		}
		accepted = append(accepted, a)
	}
	return accepted, nil
}

// cutShort returns how many executions the standstill of a replica cut short.
func cutShort(frozen *replica, h *history) (n int) {
	for _, e := range h.executions {
		if e.replica == frozen && e.outcome == journal.Aborted && !e.end.Before(frozen.stopped) {
			n++
		}
	}
	return n
}

func report(t *testing.T, f *fleet, h *history) {
	t.Helper()
	refused := 0
	var slowest, waited time.Duration
	first := map[int64]time.Time{}
	for _, e := range h.executions {
		if _, seen := first[e.task]; !seen {
			first[e.task] = e.begin
		}
	}
	for _, a := range h.accepted {
		refused += a.refused
		slowest = max(slowest, a.waited)
		waited = max(waited, first[a.id].Sub(a.at))
	}
	t.Logf("%d tasks accepted after %d refused or lost tries, the longest after %s", len(h.accepted), refused,
		slowest.Round(time.Millisecond))
	t.Logf("%d executions (%s), %d of them again; longest wait from 200 to the first one %s", len(h.executions), h.outcomes(),
		h.repeated(), waited.Round(time.Millisecond))
	t.Logf("%d kills, %d replicas, %d tasks taken over, one standstill of %s, the database restarted twice", f.kills,
		len(f.replicas()), f.takeovers(t), standstill)
}

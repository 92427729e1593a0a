package e2e_test

import (
	"fmt"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lib/pq"
	"github.com/stretchr/testify/require"
)

// answers are what clients got, by status.
type answers struct {
	client *http.Client
	inner  *inner

	mu       sync.Mutex
	accepted []int64
	wrong    []string
	waits    []time.Duration // of refusals
	sent     atomic.Int64
}

// send sends one task.
func (a *answers) send() {
	n, begin := a.sent.Add(1), time.Now()
	id, status, err := acceptOver(a.client, a.inner.url, fmt.Sprintf("w%d", n))
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case err == nil:
		a.accepted = append(a.accepted, id)
	case status == http.StatusTooManyRequests:
		a.waits = append(a.waits, time.Since(begin))
	default:
		a.wrong = append(a.wrong, err.Error())
	}
}

// closed has so many clients send, each again once it is answered, and returns how many are accepted a second.
func (a *answers) closed(clients int, span time.Duration) (rate float64) {
	before, begin := len(a.accepted), time.Now()
	var sending sync.WaitGroup
	for range clients {
		sending.Go(func() {
			for time.Since(begin) < span {
				a.send()
			}
		})
	}
	sending.Wait()
	return float64(len(a.accepted)-before) / time.Since(begin).Seconds()
}

// open sends at a rate, whatever is answered.
func (a *answers) open(rate float64, span time.Duration) {
	var sending sync.WaitGroup
	defer sending.Wait()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	begin, sent := time.Now(), 0
	for time.Since(begin) < span {
		<-tick.C
		for ; float64(sent) < time.Since(begin).Seconds()*rate; sent++ {
			sending.Go(a.send)
		}
	}
}

func TestOverloadHonoursEvery200AndRefusesRest(t *testing.T) {
	t.Parallel()
	w := newFixture(t)
	const places = 50
	w.reconfigure(t, "drainTime: 0s", fmt.Sprintf("drainTime: 0s, maxRequests: %d", places))
	i := w.start(t)
	a := &answers{inner: i, client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 1000, MaxConnsPerHost: 1000}}}
	t.Cleanup(a.client.CloseIdleConnections)
	w.proxy.Slow(100 * time.Millisecond)
	capacity := a.closed(places, 3*time.Second)
	require.Empty(t, a.wrong, "below its limit everything is accepted")
	require.Empty(t, a.waits)
	before := len(a.accepted)
	a.open(10*capacity, 5*time.Second)
	w.proxy.Slow(0)
	slices.Sort(a.waits)
	require.Empty(t, a.wrong, "what is not accepted is refused")
	require.NotEmpty(t, a.waits)
	require.Greater(t, len(a.accepted), before, "what the database takes is accepted all the time")
	t.Logf("the database takes %.0f/s; of %.0f/s sent, %d were accepted, %d refused, half of them within %s, 99 of 100 within %s",
		capacity, 10*capacity, len(a.accepted)-before, len(a.waits), a.waits[len(a.waits)/2], a.waits[len(a.waits)*99/100])

	ids := slices.Compact(slices.Sorted(slices.Values(a.accepted)))
	require.Len(t, ids, len(a.accepted), "no task is given to two")
	require.Eventually(t, func() bool {
		var finished int
		require.NoError(t,
			w.db.QueryRowContext(t.Context(), `SELECT count(*) FROM console_tasks WHERE id = ANY($1) AND task_status = 'finished'`,
				pq.Array(ids)).Scan(&finished))
		return finished == len(ids)
	}, timeout, 100*time.Millisecond, "every 200 is honoured")
	require.Equal(t, len(ids), w.count(t, `SELECT count(*) FROM console_tasks WHERE task_type = 'worker.delete_worker_cr'`),
		"what was refused is not done")
}

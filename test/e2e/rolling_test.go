package e2e_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lib/pq"
	"github.com/stretchr/testify/require"
)

// balancer sends requests in turn to the processes that said last that they are ready, as a Service does to its pods. It
// repeats nothing.
type balancer struct {
	*httptest.Server
	mu       sync.Mutex
	backends map[string]bool
	next     int
}

// probeInterval is how often the balancer asks a process whether it is ready; a kubelet asks less often.
const probeInterval = 100 * time.Millisecond

// failureThreshold is how often in a row a process that was ready has to say that it is not, as for a kubelet: on a busy
// machine a sign of life may be late.
const failureThreshold = 3

func newBalancer(t *testing.T) *balancer {
	t.Helper()
	b := &balancer{backends: map[string]bool{}}
	pool := &http.Transport{MaxIdleConnsPerHost: 32}
	b.Server = httptest.NewServer(&httputil.ReverseProxy{
		Transport: pool,
		Rewrite: func(r *httputil.ProxyRequest) {
			if to, err := url.Parse(b.pick()); err == nil {
				r.SetURL(to)
			}
		},
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, err error) {
			http.Error(w, err.Error(), http.StatusBadGateway)
		},
	})
	ctx, cancel := context.WithCancel(context.Background())
	var probing sync.WaitGroup
	probing.Go(func() { b.probe(ctx) })
	t.Cleanup(func() {
		b.Close()
		cancel()
		probing.Wait()
		pool.CloseIdleConnections()
	})
	return b
}

// add has the balancer ask a further process.
func (b *balancer) add(i *inner) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.backends[i.url] = false
}

// pick returns the process for the next request, "" where none is ready.
func (b *balancer) pick() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	var ready []string
	for backend, ok := range b.backends {
		if ok {
			ready = append(ready, backend)
		}
	}
	if len(ready) == 0 {
		return ""
	}
	b.next++
	return ready[b.next%len(ready)]
}

func (b *balancer) probe(ctx context.Context) {
	tick := time.NewTicker(probeInterval)
	defer tick.Stop()
	failures := map[string]int{}
	client := &http.Client{Timeout: time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		b.mu.Lock()
		var all []string
		for backend := range b.backends {
			all = append(all, backend)
		}
		b.mu.Unlock()
		for _, backend := range all {
			ready, answered := isReady(ctx, client, backend)
			if !answered {
				continue
			}
			b.mu.Lock()
			if failures[backend]++; ready {
				failures[backend] = 0
			}
			b.backends[backend] = ready || (b.backends[backend] && failures[backend] < failureThreshold)
			b.mu.Unlock()
		}
	}
}

// isReady asks a process. One that is too slow to answer has not answered: a busy machine is not a reason to leave it out.
func isReady(ctx context.Context, client *http.Client, backend string) (ready, answered bool) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, backend+"/readyz", nil)
	if err != nil {
		return false, true
	}
	answer, err := client.Do(request)
	var late net.Error
	if errors.As(err, &late) && late.Timeout() {
		return false, false
	}
	if err != nil {
		return false, true
	}
	_ = answer.Body.Close()
	return answer.StatusCode == http.StatusOK, true
}

// ready counts the processes that the balancer sends requests to.
func (b *balancer) ready() (n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, ok := range b.backends {
		if ok {
			n++
		}
	}
	return n
}

// outers sends tasks by way of the balancer from several goroutines until the test stops them.
type outers struct {
	mu       sync.Mutex
	accepted []int64
	failures []string
	stop     context.CancelFunc
	sending  sync.WaitGroup
}

func (b *balancer) load(senders int) *outers {
	ctx, cancel := context.WithCancel(context.Background())
	o := &outers{stop: cancel}
	for sender := range senders {
		o.sending.Go(func() {
			// Each keeps its connections, as the Outer does.
			client := &http.Client{Transport: &http.Transport{}}
			defer client.CloseIdleConnections()
			for n := 0; ctx.Err() == nil; n++ {
				id, _, err := acceptOver(client, b.URL, fmt.Sprintf("w%dx%d", sender, n))
				o.mu.Lock()
				if err != nil {
					o.failures = append(o.failures, err.Error())
				} else {
					o.accepted = append(o.accepted, id)
				}
				o.mu.Unlock()
			}
		})
	}
	return o
}

// end stops the senders, each after the answer to its last request.
func (o *outers) end() {
	o.stop()
	o.sending.Wait()
}

// acceptOver has a task accepted, or tells with which status it was not.
func acceptOver(client *http.Client, address, worker string) (id int64, status int, err error) {
	body := fmt.Sprintf(`{"task_type":"worker.delete_worker_cr","task_info":{"worker_id":%q,"user_uid":"u1"}}`, worker)
	answer, err := client.Post(address+"/api/acceptTask", "application/json", strings.NewReader(body))
	if err != nil {
		return 0, 0, err
	}
	defer func() { _ = answer.Body.Close() }()
	text, err := io.ReadAll(answer.Body)
	if answer.StatusCode != http.StatusOK {
		err = errors.Join(err, fmt.Errorf("%s: %s", answer.Status, text))
	}
	if err != nil {
		return 0, answer.StatusCode, err
	}
	var receipt struct {
		TaskID int64 `json:"task_id"`
	}
	err = json.Unmarshal(text, &receipt)
	return receipt.TaskID, answer.StatusCode, err
}

func TestRollingUpdateFailsNoAccept(t *testing.T) {
	t.Parallel()
	w := newFixture(t)
	// As in a cluster, long enough for the balancer to notice, on a busy machine too.
	w.reconfigure(t, "drainTime: 0s", "drainTime: 15s")
	b := newBalancer(t)
	old := []*inner{w.start(t), w.start(t)}
	for _, i := range old {
		b.add(i)
	}
	require.Eventually(t, func() bool { return b.ready() == 2 }, timeout, probeInterval)
	load := b.load(2)
	for _, i := range old {
		i.stop()
		b.add(w.start(t))
		require.Eventually(t, func() bool { return b.ready() == 2 }, timeout, probeInterval)
	}
	load.end()
	require.Empty(t, load.failures, "of %d requests", len(load.accepted)+len(load.failures))
	require.Greater(t, len(load.accepted), 200)
	var kept int
	require.NoError(t, w.db.QueryRowContext(t.Context(), `SELECT count(*) FROM console_tasks WHERE id = ANY($1)`,
		pq.Array(load.accepted)).Scan(&kept))
	require.Equal(t, len(load.accepted), kept)
	require.Eventually(t, func() bool {
		return w.count(t, `SELECT count(*) FROM console_tasks WHERE task_status <> 'finished'`) == 0
	}, timeout, 100*time.Millisecond, "every accepted task is run")
}

// reconfigure changes the configuration of processes that are started from now on.
func (w *fixture) reconfigure(t *testing.T, from, to string) {
	t.Helper()
	content, err := os.ReadFile(w.configFile)
	require.NoError(t, err)
	require.Contains(t, string(content), from)
	require.NoError(t, os.WriteFile(w.configFile, bytes.ReplaceAll(content, []byte(from), []byte(to)), 0o600))
}

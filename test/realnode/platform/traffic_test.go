package platform_test

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"app238.com/inner/test/realnode/network"
)

// Ports of the ingress that asks for names each time, and of the one that keeps them for 30 seconds.
const (
	asking  = "443"
	caching = "444"
)

// traffic is requests that are sent to a worker all the time.
type traffic struct {
	host string
	stop context.CancelFunc
	all  sync.WaitGroup

	mu       sync.Mutex
	answers  map[string]int
	failures []string
}

// start sends new connections, kept ones, and requests of 3 seconds, at a steady rate.
func start(t *testing.T, host string) *traffic {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	f := &traffic{host: host, stop: stop, answers: map[string]int{}}
	for _, port := range []string{asking, caching} {
		f.send(ctx, network.Visitor(port, false), "/", 60*time.Millisecond)
		f.send(ctx, network.Visitor(port, true), "/", 60*time.Millisecond)
		f.send(ctx, network.Visitor(port, true), "/?wait=3s", 500*time.Millisecond)
	}
	t.Cleanup(func() {
		stop()
		f.all.Wait()
	})
	return f
}

func (f *traffic) send(ctx context.Context, c *http.Client, path string, every time.Duration) {
	f.all.Go(func() {
		ticker := time.NewTicker(every)
		defer ticker.Stop()
		for ctx.Err() == nil {
			f.all.Go(func() { f.one(context.WithoutCancel(ctx), c, path) })
			select {
			case <-ctx.Done():
			case <-ticker.C:
			}
		}
	})
}

func (f *traffic) one(ctx context.Context, c *http.Client, path string) {
	begun := time.Now()
	answer, err := network.Visit(ctx, c, f.host, path)
	f.mu.Lock()
	defer f.mu.Unlock()
	if err != nil {
		f.failures = append(f.failures, fmt.Sprintf("%s %s: %v", begun.Format(time.StampMilli), path, err))
		return
	}
	f.answers[answer]++
}

// sent returns how many requests were answered, and by which words.
func (f *traffic) sent() (n int, words []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, count := range f.answers {
		n += count
	}
	return n, slices.Sorted(maps.Keys(f.answers))
}

// end waits until enough requests were answered, stops, and demands that no more than those few failed.
func (f *traffic) end(t *testing.T, lost int) {
	t.Helper()
	require.True(t, waitFor(t.Context(), func(context.Context) bool {
		n, _ := f.sent()
		return n >= enough
	}))
	f.halt(t)
	require.LessOrEqual(t, len(f.failures), lost, "%v", f.failures)
}

// halt stops and logs how it went.
func (f *traffic) halt(t *testing.T) {
	t.Helper()
	f.stop()
	f.all.Wait()
	n, words := f.sent()
	t.Logf("%d requests answered (%s), %d failed", n, strings.Join(words, ", "), len(f.failures))
}

// awaitWords waits until the worker answers with these words, and some more times.
func (f *traffic) awaitWords(t *testing.T, words string) {
	t.Helper()
	count := func() int {
		f.mu.Lock()
		defer f.mu.Unlock()
		return f.answers[words]
	}
	require.True(t, waitFor(t.Context(), func(context.Context) bool { return count() > 20 }), "%s does not answer", words)
}

// requireServed waits until a worker answers a single request with these words.
func requireServed(t *testing.T, k worker, words string) {
	t.Helper()
	visitor := network.Visitor(asking, false)
	require.True(t, waitFor(t.Context(), func(ctx context.Context) bool {
		answer, err := network.Visit(ctx, visitor, k.host(), "/")
		return err == nil && answer == words
	}), "%s does not answer %s", k.id, words)
}

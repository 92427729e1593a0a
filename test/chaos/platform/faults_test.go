package platform_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"app238.com/inner/test/chaos/faults"
	"app238.com/inner/test/dnsserver"
	"app238.com/inner/test/proxy"
	"app238.com/inner/test/stack/postgres"
)

// fault is a failure that is injected, and repaired again.
type fault struct {
	name    string
	longest time.Duration // that it lasts
	inflict func(ctx context.Context, chance *rand.Rand) (repair func(context.Context) error, err error)
}

// repaired converts two functions that cannot fail to the two halves of a fault.
func repaired(inflict, repair func()) func(context.Context, *rand.Rand) (func(context.Context) error, error) {
	return func(context.Context, *rand.Rand) (func(context.Context) error, error) {
		inflict()
		return func(context.Context) error {
			repair()
			return nil
		}, nil
	}
}

// faults is all that can break.
func (w *fixture) faults(t *testing.T, f *fleet) []fault {
	t.Helper()
	engine := w.engine
	slow := func(p *proxy.Proxy) func(context.Context, *rand.Rand) (func(context.Context) error, error) {
		return repaired(func() { p.Slow(50 * time.Millisecond) }, func() { p.Slow(0) })
	}
	wrong := func(status int, reason metav1.StatusReason) func(context.Context, *rand.Rand) (func(context.Context) error, error) {
		return repaired(func() { w.toCluster.AnswerWith(everyOther(status, reason)) }, func() { w.toCluster.AnswerWith(nil) })
	}
	all := []fault{
		{"Inner killed", time.Second, func(_ context.Context, chance *rand.Rand) (func(context.Context) error, error) {
			slot := chance.IntN(replicas)
			return func(context.Context) error { return f.start(slot) }, f.kill(slot)
		}},
		{"Inner frozen", 6 * time.Second, func(_ context.Context, chance *rand.Rand) (func(context.Context) error, error) {
			slot := chance.IntN(replicas)
			return func(context.Context) error { return f.signal(slot, syscall.SIGCONT) }, f.signal(slot, syscall.SIGSTOP)
		}},
		{"every Inner killed", time.Second, func(context.Context, *rand.Rand) (func(context.Context) error, error) {
			return func(context.Context) error { return errors.Join(f.start(0), f.start(1)) }, errors.Join(f.kill(0), f.kill(1))
		}},
		{"database stopped", 4 * time.Second, w.endDatabase((*postgres.Server).Stop)},
		{"database killed", 4 * time.Second, w.endDatabase(func(s *postgres.Server, _ context.Context) error { return s.Kill() })},
		{"database slow", 8 * time.Second, slow(w.toDatabase)},
		{"database cut off", 6 * time.Second, repaired(w.toDatabase.Cut, w.toDatabase.Restore)},
		{"engine killed", 4 * time.Second, restart(engine, quick(engine.Kill))},
		{"engine slow", 8 * time.Second, slow(w.toEngine)},
		{"engine cut off", 6 * time.Second, repaired(w.toEngine.Cut, w.toEngine.Restore)},
		{"API server stopped", 6 * time.Second, func(context.Context, *rand.Rand) (func(context.Context) error, error) {
			w.servers.ControlPlane.StopAPIServer()
			return w.servers.ControlPlane.StartAPIServer, nil
		}},
		{"API server answers 500", 6 * time.Second, wrong(http.StatusInternalServerError, metav1.StatusReasonInternalError)},
		{"API server answers 429", 6 * time.Second, wrong(http.StatusTooManyRequests, metav1.StatusReasonTooManyRequests)},
		{"API server answers 409", 6 * time.Second, wrong(http.StatusConflict, metav1.StatusReasonConflict)},
		{"API server cut off", 6 * time.Second, repaired(func() {
			w.toCluster.AnswerWith(hangUp)
			w.toCluster.Break()
		}, func() { w.toCluster.AnswerWith(nil) })},
		{"watches cut", time.Second, repaired(w.toCluster.Break, func() {})},
		{"TiKV and its placement driver stopped", 3 * time.Second, restart(w.servers.TiKV, w.servers.TiKV.Stop)},
		{"DNS silent", 8 * time.Second, repaired(func() { w.names.Root.Play("", dnsserver.Play{Silent: true}) }, w.names.Root.Behave)},
	}
	return append(all, w.databaseFaults(t, f)...)
}

// restart ends a server and starts it again.
func restart(server interface{ Restart(context.Context) error }, end func(context.Context) error) func(context.Context,
	*rand.Rand) (func(context.Context) error, error) {
	return func(ctx context.Context, _ *rand.Rand) (func(context.Context) error, error) {
		return server.Restart, end(ctx)
	}
}

// endDatabase ends the platform's database, which is another server after each failover, and starts it again.
func (w *fixture) endDatabase(end func(*postgres.Server, context.Context) error) func(context.Context,
	*rand.Rand) (func(context.Context) error, error) {
	return func(ctx context.Context, _ *rand.Rand) (func(context.Context) error, error) {
		return w.servers.Postgres.Restart, end(w.servers.Postgres, ctx)
	}
}

// quick makes an end that waits for nothing one of those that may.
func quick(end func() error) func(context.Context) error {
	return func(context.Context) error { return end() }
}

// everyOther answers every other write with an error.
func everyOther(status int, reason metav1.StatusReason) proxy.Answer {
	var n atomic.Int64
	return func(rw http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodGet || n.Add(1)%2 == 0 {
			return false
		}
		rw.Header().Set("Content-Type", "application/json")
		if status == http.StatusTooManyRequests {
			rw.Header().Set("Retry-After", "1")
		}
		rw.WriteHeader(status)
		_ = json.NewEncoder(rw).Encode(metav1.Status{TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"},
			Status: metav1.StatusFailure, Code: int32(status), Reason: reason, Message: "by the test"})
		return true
	}
}

// hangUp ends a request's connection without an answer.
func hangUp(http.ResponseWriter, *http.Request) bool { panic(http.ErrAbortHandler) }

// injectFaults injects one fault after the other, each once before any is repeated, until both the number and the time are
// reached; or lets the time go by. It returns how often each was broken.
func (w *fixture) injectFaults(ctx context.Context, t *testing.T, f *fleet) (broken map[string]int, err error) {
	t.Helper()
	e := w.extent
	if !e.breaks {
		faults.Pause(ctx, e.span)
		return broken, nil
	}
	chance := rand.New(rand.NewPCG(w.seed, 0))
	broken = map[string]int{}
	all, begin := w.faults(t, f), time.Now()
	for n := 0; n < max(len(all), e.faults) || time.Since(begin) < e.span; n++ {
		if n%len(all) == 0 {
			chance.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
		}
		one := all[n%len(all)]
		faults.Pause(ctx, time.Duration(chance.Int64N(int64(1500*time.Millisecond))))
		lasts := 300*time.Millisecond + time.Duration(chance.Int64N(int64(one.longest)))
		repair, err := one.inflict(ctx, chance)
		if err != nil {
			return broken, fmt.Errorf("%s: %w", one.name, err)
		}
		faults.Pause(ctx, lasts)
		if err := errors.Join(repair(ctx), ctx.Err()); err != nil {
			return broken, fmt.Errorf("%s, repair: %w", one.name, err)
		}
		broken[one.name]++
		t.Logf("%6.1f s: %s for %.1f s", time.Since(begin).Seconds(), one.name, lasts.Seconds())
	}
	return broken, nil
}

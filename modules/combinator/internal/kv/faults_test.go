package kv

import (
	"context"
	"crypto/rand"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"app238.com/inner/app/config"
	"app238.com/inner/modules/combinator/internal/engine"
	"app238.com/inner/test/stack/tikv"
)

func TestMain(m *testing.M) { os.Exit(tikv.Run(m)) }

// faulty is a client whose process dies before or after a chosen step; from then on every step fails.
type faulty struct {
	kvClient
	steps, failAt int // 0: never
	after         bool
	beforeClear   func()
}

var errKilled = errors.New("killed by the test")

func (f *faulty) step(do func() error) error {
	f.steps++
	switch {
	case f.failAt == 0 || f.steps < f.failAt:
		return do()
	case f.steps == f.failAt && f.after:
		return errors.Join(errKilled, do())
	}
	return errKilled
}

func (f *faulty) update(ctx context.Context, work func(context.Context, transaction) error) error {
	return f.step(func() error { return f.kvClient.update(ctx, work) })
}

func (f *faulty) scan(ctx context.Context, from, to []byte, limit int) (found []pair, err error) {
	err = f.step(func() error {
		found, err = f.kvClient.scan(ctx, from, to, limit)
		return err
	})
	return found, err
}

func (f *faulty) clear(ctx context.Context, from, to []byte) error {
	if f.beforeClear != nil {
		f.beforeClear()
	}
	return f.step(func() error { return f.kvClient.clear(ctx, from, to) })
}

// setup returns an engine on the tests' cluster, or on the given one, whose client the test can make fail.
func setup(t *testing.T, endpoint string) (*Engine, *faulty) {
	t.Helper()
	if endpoint == "" {
		endpoint = os.Getenv("INNER_TEST_PD")
	}
	require.NotEmpty(t, endpoint, "INNER_TEST_PD is not set: this test needs a TiKV cluster; run make test")
	flags := pflag.NewFlagSet("test", pflag.ContinueOnError)
	config.AddFlags(flags)
	c, err := config.LoadForDatabase(flags)
	require.NoError(t, err)
	c.Platform = strings.ToLower(rand.Text()) // a sweep deletes the namespaces of its platform, also those of other tests
	c.Combinator.KV.PD = []string{endpoint}
	c.Combinator.KV.Prefix = "f" + strings.ToLower(time.Now().UTC().Format("150405000")) + "_{user_uid}_{resource_id}/"
	c.Combinator.KV.SweepAfter = time.Millisecond
	c.Combinator.KV.RequestTimeout = 5 * time.Second
	f := &faulty{}
	e, err := newWith(c, zap.NewNop(), func(ctx context.Context, c config.KV) (kvClient, error) {
		opened, err := open(ctx, c)
		f.kvClient = opened
		return f, err
	})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, e.Stop(context.Background())) })
	require.Eventually(t, func() bool { return e.Ready(t.Context()) == nil }, time.Minute, 50*time.Millisecond)
	return e, f
}

func create(t *testing.T, e *Engine, r engine.Resource) error {
	t.Helper()
	return e.Create(t.Context(), r, e.Name(r))
}

// put writes a key as a Combinator pod does.
func (f *faulty) put(t *testing.T, key string) {
	t.Helper()
	require.NoError(t,
		f.kvClient.update(t.Context(), func(_ context.Context, tx transaction) error { return tx.set([]byte(key), []byte("v")) }))
}

func (f *faulty) count(t *testing.T, prefix string) int {
	t.Helper()
	from, to := keyRange(prefix)
	found, err := f.kvClient.scan(t.Context(), from, to, 100)
	require.NoError(t, err)
	return len(found)
}

// TestNamespaceSurvivesKillAtEveryStep runs the life cycle of a namespace with a fault at each of its steps in turn.
func TestNamespaceSurvivesKillAtEveryStep(t *testing.T) {
	t.Parallel()
	e, f := setup(t, "")
	r, neighbour := engine.Resource{UserUID: "u1", ResourceID: "a"}, engine.Resource{UserUID: "u1", ResourceID: "ab"}
	require.NoError(t, create(t, e, neighbour))
	f.put(t, e.prefix.Name("u1", "ab")+"key")
	for _, after := range []bool{false, true} {
		for n, hit := 1, true; hit; n++ {
			hit = false
			// Every call runs twice: a failed one is retried as a task would be, a successful one is repeated.
			live := func(call func() error) {
				f.steps, f.failAt, f.after = 0, n, after
				err := call()
				hit = hit || f.steps >= n
				f.failAt = 0
				if err != nil {
					require.ErrorIs(t, err, errKilled)
				}
				require.NoError(t, call())
			}
			live(func() error { return create(t, e, r) })
			there, err := e.Find(t.Context(), r)
			require.NoError(t, err)
			require.Equal(t, e.Name(r), there)
			f.put(t, e.prefix.Name("u1", "a")+"key")
			live(func() error { return e.Delete(t.Context(), r, e.Name(r)) })
			require.Zero(t, f.count(t, e.prefix.Name("u1", "a")))
			f.put(t, e.prefix.Name("u1", "a")+"late")
			live(func() error {
				_, err := e.Sweep(t.Context())
				return err
			})
			require.Eventually(t, func() bool {
				_, err := e.Sweep(t.Context())
				require.NoError(t, err)
				return f.count(t, recordPrefix+e.prefix.Name("u1", "a")) == 0
			}, time.Minute, 5*time.Millisecond)
			require.Zero(t, f.count(t, e.prefix.Name("u1", "a")))
			require.Equal(t, 1, f.count(t, e.prefix.Name("u1", "ab")), "the neighbour is unchanged")
		}
	}
}

func TestPausedSweepKeepsARecreatedNamespace(t *testing.T) {
	t.Parallel()
	for id, late := range map[string]bool{"paused": false, "pausedlate": true} {
		t.Run(id, func(t *testing.T) {
			t.Parallel()
			e, f := setup(t, "")
			e.config.SweepAfter = time.Hour
			r := engine.Resource{UserUID: "u1", ResourceID: id}
			require.NoError(t, create(t, e, r))
			require.NoError(t, e.Delete(t.Context(), r, e.Name(r)))
			require.NoError(t, e.update(t.Context(), func(ctx context.Context, tx transaction) error {
				found, err := read(ctx, tx, e.Name(r))
				if err != nil {
					return err
				}
				old := tx.now().UTC().Add(-2 * time.Hour)
				found.CleanSince = &old
				return write(tx, *found)
			}))
			if late {
				f.put(t, e.Name(r)+"late")
			}
			created := false
			f.beforeClear = func() { // another process goes on, and this one is paused
				f.beforeClear = nil
				for range 3 {
					_, err := e.Sweep(t.Context())
					require.NoError(t, err)
				}
				if err := create(t, e, r); err == nil {
					created = true
					f.put(t, e.Name(r)+"key")
				}
			}
			_, err := e.Sweep(t.Context())
			require.NoError(t, err)
			require.Nil(t, f.beforeClear)
			require.False(t, created, "the prefix stays reserved")
		})
	}
}

// TestClusterOutageIsSurvived calls the engine during an outage, which takes no longer than the timeout.
func TestClusterOutageIsSurvived(t *testing.T) {
	t.Parallel()
	cluster, err := tikv.Start(t.Context(), tikv.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, cluster.Close()) })
	e, _ := setup(t, cluster.Endpoint())
	r := engine.Resource{UserUID: "u1", ResourceID: "a"}
	require.NoError(t, create(t, e, r))
	require.NoError(t, cluster.Stop(t.Context()))
	require.ErrorIs(t, create(t, e, engine.Resource{UserUID: "u1", ResourceID: "b"}), engine.ErrUnavailable)
	require.Error(t, e.Ready(t.Context()))
	require.NoError(t, cluster.Restart(t.Context()))
	require.Eventually(t, func() bool {
		there, err := e.Find(t.Context(), r)
		return err == nil && there != ""
	}, 4*time.Minute, 100*time.Millisecond)
}

package kv

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	tikvkv "github.com/tikv/client-go/v2/kv"
	"go.uber.org/zap"

	"app238.com/inner/app/config"
	"app238.com/inner/modules/combinator/internal/engine"
)

// resumed is the context of a process that was stopped until after its deadline, and whose timers have not fired yet.
type resumed struct {
	context.Context
	stopped *atomic.Bool // the process was stopped
}

func (r resumed) Deadline() (time.Time, bool) {
	if r.stopped.Load() {
		return time.Now().Add(-time.Second), true
	}
	return time.Now().Add(time.Hour), true
}

func TestNothingIsSentAfterTheDeadline(t *testing.T) {
	t.Parallel()
	ctx := resumed{t.Context(), &atomic.Bool{}}
	ctx.stopped.Store(true)
	_, err := runBounded(ctx, newClient(nil), func(context.Context, *tikvkv.Variables) (int, error) {
		t.Error("the operation ran")
		return 0, nil
	})
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.ErrorIs(t, err, engine.ErrUnavailable)
}

// setupEmbedded returns an engine with a store of its own.
func setupEmbedded(t *testing.T) *Engine {
	t.Helper()
	c := &config.Config{Platform: "test"}
	c.Combinator.KV = config.KV{Embedded: t.TempDir(), Prefix: "user_{user_uid}_{resource_id}/", RequestTimeout: time.Minute}
	e, err := New(c, zap.NewNop())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, e.Stop(context.Background())) })
	return e
}

func TestNothingIsCommittedAfterTheDeadline(t *testing.T) {
	t.Parallel()
	e := setupEmbedded(t)
	client, err := e.connected(t.Context())
	require.NoError(t, err)
	ctx := resumed{t.Context(), &atomic.Bool{}}
	err = client.update(ctx, func(_ context.Context, tx transaction) error {
		ctx.stopped.Store(true)
		return tx.set([]byte("key"), []byte("value"))
	})
	require.ErrorIs(t, err, context.DeadlineExceeded)
	found, err := e.scan(t.Context(), []byte("key"), []byte("kez"), 1)
	require.NoError(t, err)
	require.Empty(t, found)
}

func TestUnreadableRecordDoesNotStopTheSweep(t *testing.T) {
	t.Parallel()
	e := setupEmbedded(t)
	r := engine.Resource{UserUID: "u1", ResourceID: "a"}
	require.NoError(t, e.update(t.Context(), func(_ context.Context, tx transaction) error {
		return tx.set(recordKey("a/"), []byte("{"))
	}))
	require.NoError(t, e.Create(t.Context(), r, e.Name(r)))
	require.NoError(t, e.Delete(t.Context(), r, e.Name(r)))
	require.Eventually(t, func() bool {
		_, err := e.Sweep(t.Context())
		require.ErrorContains(t, err, "record of a namespace")
		left, err := e.scan(t.Context(), recordKey(e.Name(r)), append(recordKey(e.Name(r)), 0), 1)
		require.NoError(t, err)
		return len(left) == 0
	}, time.Minute, 5*time.Millisecond)
	require.ErrorContains(t, e.List(t.Context(), func([]engine.Found) error { return nil }), "record of a namespace")
}

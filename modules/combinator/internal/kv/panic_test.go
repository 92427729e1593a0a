package kv

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	tikvkv "github.com/tikv/client-go/v2/kv"
	"go.uber.org/zap"

	"app238.com/inner/app/config"
	"app238.com/inner/app/guard"
)

func TestPanicBecomesErrorOfOperation(t *testing.T) {
	t.Parallel()
	_, err := runBounded(t.Context(), newClient(nil), func(context.Context, *tikvkv.Variables) (int, error) { panic("failed") })
	_, panicked := errors.AsType[*guard.PanicError](err)
	require.True(t, panicked, "%v", err)
}

func TestPanicDuringOpenIsRetried(t *testing.T) {
	t.Parallel()
	c := &config.Config{}
	c.Combinator.KV.PD, c.Combinator.KV.Prefix = []string{"127.0.0.1:1"}, "user_{user_uid}_{resource_id}/"
	var tries atomic.Int32
	e, err := newWith(c, zap.NewNop(), func(context.Context, config.KV) (kvClient, error) {
		if tries.Add(1) == 1 {
			panic("failed")
		}
		return nil, errors.New("away")
	})
	require.NoError(t, err)
	require.NoError(t, e.Start(t.Context()))
	require.Eventually(t, func() bool { return tries.Load() > 1 }, time.Minute, 10*time.Millisecond)
	require.NoError(t, e.Stop(context.Background()))
}

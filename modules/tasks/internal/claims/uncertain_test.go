package claims

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"app238.com/inner/modules/tasks/internal/store"
)

func TestUncertaintyStaysUntilLaterReturn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := &Tracker{tracked: map[store.ClaimKey]*trackedClaim{}, effectTimeout: 2 * time.Second}
		returned := 0
		slow := func([]store.ClaimKey) error {
			returned++
			<-time.After(3 * time.Second)
			return nil
		}
		b.MarkUncertain()
		require.NoError(t, b.ResolveUncertain(slow))
		require.NoError(t, b.ResolveUncertain(slow))
		require.Equal(t, 2, returned, "a claim may have taken effect while the others were returned")
		require.NoError(t, b.ResolveUncertain(slow))
		require.Equal(t, 2, returned)
	})
}

func TestAcceptsDoNotWaitForTheEndOfALongScan(t *testing.T) {
	t.Parallel()
	b := &Tracker{tracked: map[store.ClaimKey]*trackedClaim{}}
	b.MarkUncertain()
	endScan := b.BeginClaim()
	returned := 0
	count := func([]store.ClaimKey) error {
		returned++
		return nil
	}
	for range maxLockSkips {
		require.NoError(t, b.ResolveUncertainLater(count))
		b.BeginClaim()() // would wait for a waiting lock
	}
	require.Zero(t, returned)
	endScan()
	require.NoError(t, b.ResolveUncertainLater(count))
	require.Equal(t, 1, returned)
}

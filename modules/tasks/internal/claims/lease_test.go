package claims

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// begun returns a lease of two seconds that has begun, with its identity and the context of what runs under it.
func started(t *testing.T) (l *Lease, id string, held context.Context) {
	t.Helper()
	l = newLease(2 * time.Second)
	t.Cleanup(l.End)
	id, fresh := l.Identity()
	require.True(t, fresh)
	require.True(t, l.Renew(id, time.Now()))
	held, ok := l.Context(id)
	require.True(t, ok)
	return l, id, held
}

func TestExpiredLeaseIsNotRenewed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l, id, held := started(t)
		l.timer.Stop() // after a standstill it is late
		<-time.After(3 * time.Second)

		require.False(t, l.Renew(id, time.Now()), "others have taken over what was claimed under it")
		require.Error(t, held.Err(), "what runs under it ends")
		_, ok := l.Current()
		require.False(t, ok)
		next, fresh := l.Identity()
		require.True(t, fresh)
		require.NotEqual(t, id, next)
		require.True(t, l.Renew(next, time.Now()))
		_, ok = l.Context(id)
		require.False(t, ok)
	})
}

func TestRevokedLeaseEndsAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l, id, held := started(t)
		l.Revoke("another")
		require.NoError(t, held.Err())
		l.Revoke(id)
		require.Error(t, held.Err())
		require.False(t, l.Renew(id, time.Now()))
		_, fresh := l.Identity()
		require.True(t, fresh)
	})
}

func TestRenewedLeaseStaysValid(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l, id, held := started(t)
		for range 10 {
			<-time.After(time.Second)
			now, fresh := l.Identity()
			require.False(t, fresh)
			require.Equal(t, id, now)
			require.False(t, l.Renew(id, time.Now()), "it goes on")
			require.NoError(t, held.Err())
		}
		<-time.After(2 * time.Second)
		synctest.Wait()
		require.Error(t, held.Err())
	})
}

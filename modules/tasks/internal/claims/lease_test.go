package claims

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// newTestLease returns a lease of two seconds, its identity and its context.
func newTestLease(t *testing.T) (l *Lease, id string, leased context.Context) {
	t.Helper()
	l = newLease(2 * time.Second)
	t.Cleanup(l.End)
	id, fresh := l.Identity()
	require.True(t, fresh)
	require.True(t, l.Renew(id, time.Now()))
	leased, ok := l.Context(id)
	require.True(t, ok)
	return l, id, leased
}

func TestExpiredLeaseIsNotRenewed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l, id, leased := newTestLease(t)
		l.timer.Stop() // after a suspension it is late
		<-time.After(3 * time.Second)

		require.False(t, l.Renew(id, time.Now()), "others have recovered its claims")
		require.Error(t, leased.Err(), "its jobs are cancelled")
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
		l, id, leased := newTestLease(t)
		l.Revoke("another")
		require.NoError(t, leased.Err())
		l.Revoke(id)
		require.Error(t, leased.Err())
		require.False(t, l.Renew(id, time.Now()))
		_, fresh := l.Identity()
		require.True(t, fresh)
	})
}

func TestRenewedLeaseStaysValid(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l, id, leased := newTestLease(t)
		for range 10 {
			<-time.After(time.Second)
			now, fresh := l.Identity()
			require.False(t, fresh)
			require.Equal(t, id, now)
			require.False(t, l.Renew(id, time.Now()), "the lease continues")
			require.NoError(t, leased.Err())
		}
		<-time.After(2 * time.Second)
		synctest.Wait()
		require.Error(t, leased.Err())
	})
}

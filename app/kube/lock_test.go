package kube

import (
	"context"
	"errors"
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/leaderelection/resourcelock"

	"app238.com/inner/app/config"
)

// record is an in-memory lock whose updates take a second and can fail.
type record struct {
	resourcelock.Interface

	clock  *time.Time
	err    error
	record resourcelock.LeaderElectionRecord
}

func (r *record) Identity() string { return "me" }

func (r *record) Get(context.Context) (*resourcelock.LeaderElectionRecord, []byte, error) {
	return &r.record, nil, r.err
}

func (r *record) Update(_ context.Context, next resourcelock.LeaderElectionRecord) error {
	*r.clock = r.clock.Add(time.Second)
	if r.err == nil {
		r.record = next
	}
	return r.err
}

func held(by string, at time.Time) resourcelock.LeaderElectionRecord {
	return resourcelock.LeaderElectionRecord{HolderIdentity: by, RenewTime: metav1.NewTime(at)}
}

func TestLeadershipCountsFromStartOfLastRenewal(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)
	stored := &record{clock: &now}
	l := &lock{Interface: stored, now: func() time.Time { return now }, timeout: time.Minute}
	require.Equal(t, time.Duration(math.MaxInt64), l.sinceRenewal(), "never acquired")

	require.NoError(t, l.Update(t.Context(), held("me", now)))
	require.Equal(t, time.Second, l.sinceRenewal(), "the request took a second")
	now = now.Add(5 * time.Second)
	require.Equal(t, 6*time.Second, l.sinceRenewal())

	stored.err = errors.New("away")
	require.Error(t, l.Update(t.Context(), held("me", now)))
	require.Equal(t, 7*time.Second, l.sinceRenewal(), "a failed renewal does not count")

	stored.err = nil
	require.ErrorIs(t, l.Update(t.Context(), held("", now)), errNotReleased, "its writes may still be under way")
	require.Equal(t, "me", stored.record.HolderIdentity)
	l.releasable.Store(true)
	require.NoError(t, l.Update(t.Context(), held("", now)))
	require.Equal(t, time.Duration(math.MaxInt64), l.sinceRenewal(), "released")
}

func TestLeaseHeldByOtherIsNotOurs(t *testing.T) {
	t.Parallel()
	now := time.Now()
	stored := &record{clock: &now}
	l := &lock{Interface: stored, now: func() time.Time { return now }, timeout: time.Minute}
	require.NoError(t, l.Update(t.Context(), held("me", now)))
	stored.record = held("other", now)
	_, _, err := l.Get(t.Context())
	require.NoError(t, err)
	require.Equal(t, time.Duration(math.MaxInt64), l.sinceRenewal())
}

func TestLeaderAgeIsTimeSinceLastRenewal(t *testing.T) {
	t.Parallel()
	now := time.Now()
	stored := &record{clock: &now, record: held("other", now)}
	l := &lock{Interface: stored, now: func() time.Time { return now }, timeout: time.Minute}
	get := func() {
		_, _, err := l.Get(t.Context())
		require.NoError(t, err)
	}
	get()
	now = now.Add(4 * time.Second)
	get()
	leader, age := l.leader()
	require.Equal(t, "other", leader)
	require.Equal(t, 4*time.Second, age, "read again without a renewal")
	stored.record = held("other", now)
	get()
	_, age = l.leader()
	require.Zero(t, age)
}

func TestCheckLeaderFailsBeforeLeaseExpires(t *testing.T) {
	t.Parallel()
	now := time.Now()
	stored := &record{clock: &now}
	e := &Election{config: config.LeaderElection{LeaseDuration: 9 * time.Second, RenewDeadline: 6 * time.Second},
		lock: &lock{Interface: stored, now: func() time.Time { return now }, timeout: time.Minute}}
	require.ErrorIs(t, e.CheckLeader(), ErrNotLeading, "not elected yet")
	require.NoError(t, e.lock.Update(t.Context(), held("me", now)))
	require.NoError(t, e.CheckLeader())
	require.Equal(t, "me", e.Leader())
	now = now.Add(5 * time.Second)
	require.ErrorIs(t, e.CheckLeader(), ErrNotLeading, "6 s after the start of the last renewal")
	require.Equal(t, "me", e.Leader(), "no other process can lead yet")
	now = now.Add(5 * time.Second)
	require.Empty(t, e.Leader())
}

// silent is a lock whose requests get no response.
type silent struct{ record }

func (s *silent) Get(ctx context.Context) (*resourcelock.LeaderElectionRecord, []byte, error) {
	<-ctx.Done()
	return nil, nil, ctx.Err()
}

func (s *silent) Update(ctx context.Context, _ resourcelock.LeaderElectionRecord) error {
	<-ctx.Done()
	return ctx.Err()
}

func TestRequestOfElectionWithoutResponseEnds(t *testing.T) {
	t.Parallel()
	l := &lock{Interface: &silent{}, now: time.Now, timeout: time.Millisecond}
	_, _, err := l.Get(context.Background())
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.ErrorIs(t, l.Update(context.Background(), held("me", time.Now())), context.DeadlineExceeded)
	require.Equal(t, time.Duration(math.MaxInt64), l.sinceRenewal(), "the renewal is not known to be done")
}

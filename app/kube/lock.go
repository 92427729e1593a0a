package kube

import (
	"context"
	"errors"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"k8s.io/client-go/tools/leaderelection/resourcelock"
)

// lock is a resource lock that remembers its last successful renewal by this process and its last observed record.
type lock struct {
	resourcelock.Interface

	now func() time.Time
	// timeout limits each request: client-go sets no limit for those of a process that does not lead.
	timeout time.Duration

	// releasable is set while no write of this process can be under way.
	releasable atomic.Bool

	mu sync.Mutex
	// renewed is the start of the last successful renewal by this process; zero while another one holds the lease.
	renewed time.Time
	// observed is the record as last read or written, observedAt when it last changed.
	observed   resourcelock.LeaderElectionRecord
	observedAt time.Time
}

// errNotReleased is the answer to client-go, which also releases the lease of a leader that could not renew it in time.
var errNotReleased = errors.New("the lease is not released: writes may still be under way")

// Get implements resourcelock.Interface.
func (l *lock) Get(ctx context.Context) (*resourcelock.LeaderElectionRecord, []byte, error) {
	ctx, cancel := context.WithTimeout(ctx, l.timeout)
	defer cancel()
	record, raw, err := l.Interface.Get(ctx)
	if err == nil {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.observe(*record)
		if record.HolderIdentity != l.Identity() {
			l.renewed = time.Time{}
		}
	}
	return record, raw, err
}

// Create implements resourcelock.Interface.
func (l *lock) Create(ctx context.Context, record resourcelock.LeaderElectionRecord) error {
	return l.write(ctx, record, l.Interface.Create)
}

// Update implements resourcelock.Interface.
func (l *lock) Update(ctx context.Context, record resourcelock.LeaderElectionRecord) error {
	return l.write(ctx, record, l.Interface.Update)
}

func (l *lock) write(ctx context.Context, record resourcelock.LeaderElectionRecord,
	write func(context.Context, resourcelock.LeaderElectionRecord) error) error {
	ctx, cancel := context.WithTimeout(ctx, l.timeout)
	defer cancel()
	startedAt := l.now()
	if record.HolderIdentity != l.Identity() {
		if !l.releasable.Load() {
			return errNotReleased
		}
		// The lease is being released: from this request on, another process may hold it.
		l.mu.Lock()
		l.renewed = time.Time{}
		l.mu.Unlock()
	}
	if err := write(ctx, record); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.observe(record)
	if record.HolderIdentity == l.Identity() {
		l.renewed = startedAt
	}
	return nil
}

// observe requires mu to be held.
func (l *lock) observe(record resourcelock.LeaderElectionRecord) {
	if l.observed.HolderIdentity != record.HolderIdentity || !l.observed.RenewTime.Equal(&record.RenewTime) ||
		l.observedAt.IsZero() {
		l.observed, l.observedAt = record, l.now()
	}
}

// sinceRenewal returns the time since the last renewal; math.MaxInt64 while another process holds the lease.
func (l *lock) sinceRenewal() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.renewed.IsZero() {
		return math.MaxInt64
	}
	return l.now().Sub(l.renewed)
}

// leader returns the last observed holder and the time since its record changed.
func (l *lock) leader() (holder string, age time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.observed.HolderIdentity, l.now().Sub(l.observedAt)
}

package kube

import (
	"context"
	"math"
	"sync"
	"time"

	"k8s.io/client-go/tools/leaderelection/resourcelock"
)

// lock is a resource lock that remembers when this process last held it for certain, and who was seen to hold it.
type lock struct {
	resourcelock.Interface

	now func() time.Time

	mu sync.Mutex
	// renewed is when the last successful request for the lease was begun; zero while it is not ours.
	renewed time.Time
	// seen is the record as it was read or written last, since when it has been so.
	observed   resourcelock.LeaderElectionRecord
	observedAt time.Time
}

// Get implements resourcelock.Interface.
func (l *lock) Get(ctx context.Context) (*resourcelock.LeaderElectionRecord, []byte, error) {
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
	return l.write(record, func() error { return l.Interface.Create(ctx, record) })
}

// Update implements resourcelock.Interface.
func (l *lock) Update(ctx context.Context, record resourcelock.LeaderElectionRecord) error {
	return l.write(record, func() error { return l.Interface.Update(ctx, record) })
}

func (l *lock) write(record resourcelock.LeaderElectionRecord, write func() error) error {
	startedAt := l.now()
	if record.HolderIdentity != l.Identity() {
		// It is given up: from the moment of the request on, another may hold it.
		l.mu.Lock()
		l.renewed = time.Time{}
		l.mu.Unlock()
	}
	if err := write(); err != nil {
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

// note is called with mu held.
func (l *lock) observe(record resourcelock.LeaderElectionRecord) {
	if l.observed.HolderIdentity != record.HolderIdentity || !l.observed.RenewTime.Equal(&record.RenewTime) || l.observedAt.IsZero() {
		l.observed, l.observedAt = record, l.now()
	}
}

// unrenewedFor returns for how long the lease has not been renewed; for ever while it is not ours.
func (l *lock) sinceRenewal() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.renewed.IsZero() {
		return math.MaxInt64
	}
	return l.now().Sub(l.renewed)
}

// leader returns who was seen to hold the lease last, and for how long that has not been confirmed.
func (l *lock) leader() (holder string, age time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.observed.HolderIdentity, l.now().Sub(l.observedAt)
}

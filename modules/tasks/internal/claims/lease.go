package claims

import (
	"context"
	"crypto/rand"
	"sync"
	"time"
)

// Lease is this process's right to run its claims under an identity that is used once. It lasts for a span after the
// last heartbeat that reached the database. The span is shorter than the heartbeat age after which other processes
// recover the claims, so that a job is cancelled here before it can run there. After the lease has expired, or its row
// was removed, other processes recover its claims, and the next lease has a new identity.
//
// Time is measured on the monotonic clock, from before the heartbeat was sent.
type Lease struct {
	span time.Duration

	mu     sync.Mutex
	id     string
	until  time.Time
	timer  *time.Timer
	ctx    context.Context
	cancel context.CancelFunc
}

func newLease(span time.Duration) *Lease {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return &Lease{span: span, ctx: ctx, cancel: cancel}
}

// Identity returns the id for the next heartbeat: the current one, or a fresh one if the lease has ended.
func (l *Lease) Identity() (id string, fresh bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.expired() {
		return rand.Text(), true
	}
	return l.id, false
}

// Revoke ends the lease of id, because other processes recovered its claims.
func (l *Lease) Revoke(id string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if id == l.id {
		l.cancel()
	}
}

// expired reports whether the lease has ended, and ends it if its time is up: after a suspension of the process the
// timer may fire late.
func (l *Lease) expired() bool {
	if !time.Now().Before(l.until) {
		l.cancel()
	}
	return l.ctx.Err() != nil
}

// Renew extends the lease of id to a span after sent, or begins it, and reports whether it began. It does nothing if
// the lease of id has ended meanwhile.
func (l *Lease) Renew(id string, sent time.Time) (began bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	until := sent.Add(l.span)
	fresh := l.expired()
	if (fresh && id == l.id) || !time.Now().Before(until) {
		return false
	}
	if l.timer != nil {
		l.timer.Stop()
	}
	if fresh {
		l.id = id
		l.ctx, l.cancel = context.WithCancel(context.Background())
	}
	l.until = until
	l.timer = time.AfterFunc(time.Until(until), l.onTimer)
	return fresh
}

// onTimer ends the lease unless it was renewed meanwhile.
func (l *Lease) onTimer() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.expired()
}

// End ends the lease.
func (l *Lease) End() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.timer != nil {
		l.timer.Stop()
	}
	l.cancel()
}

// Current returns the identity of the lease, and whether it is valid.
func (l *Lease) Current() (id string, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.id, !l.expired()
}

// Context returns a context that ends with the lease, and whether claims made under id may run.
func (l *Lease) Context(id string) (ctx context.Context, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.ctx, id == l.id && !l.expired()
}

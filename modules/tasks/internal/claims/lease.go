package claims

import (
	"context"
	"crypto/rand"
	"sync"
	"time"
)

// Lease is this process's right to run what it claimed, under an identity that is used once. It lasts for a span after
// the last heartbeat that reached the database, shorter than the silence after which others take over, so that a
// job is cancelled here before it can run elsewhere. Once it has run out, or others have removed its row, the claims made
// under it are left to the takeover, and a new lease has a new identity.
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

// Identity returns the id of the next heartbeat: the current one, or a fresh one to begin a lease under where it has ended.
func (l *Lease) Identity() (id string, fresh bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.expired() {
		return rand.Text(), true
	}
	return l.id, false
}

// Lose ends the lease of id: others have taken over what was claimed under it.
func (l *Lease) Revoke(id string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if id == l.id {
		l.cancel()
	}
}

// ended tells whether the lease has run out, and sees that it has: after a standstill the timer may come later than this.
func (l *Lease) expired() bool {
	if !time.Now().Before(l.until) {
		l.cancel()
	}
	return l.ctx.Err() != nil
}

// Renew extends the lease of id to a span after sent, or begins it, and tells whether it began. It does nothing when id
// ran out meanwhile.
func (l *Lease) Renew(id string, sent time.Time) (began bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	until := sent.Add(l.span)
	expired := l.expired()
	if (expired && id == l.id) || !time.Now().Before(until) {
		return false
	}
	if l.timer != nil {
		l.timer.Stop()
	}
	if expired {
		l.id = id
		l.ctx, l.cancel = context.WithCancel(context.Background())
	}
	l.until = until
	l.timer = time.AfterFunc(time.Until(until), l.onTimer)
	return expired
}

// expire cancels what runs, unless a renewal came in between.
func (l *Lease) onTimer() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.expired()
}

// End gives the lease up.
func (l *Lease) End() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.timer != nil {
		l.timer.Stop()
	}
	l.cancel()
}

// Current returns the identity to claim under, and whether there is one.
func (l *Lease) Current() (id string, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.id, !l.expired()
}

// Hold returns a context that ends with the lease, and whether what was claimed under id may be run.
func (l *Lease) Context(id string) (ctx context.Context, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.ctx, id == l.id && !l.expired()
}

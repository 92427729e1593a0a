package processor

import (
	"context"
	"crypto/rand"
	"sync"
	"time"
)

// lease is this process's right to run what it claimed, under an identity that is used once. It lasts for a span after
// the last sign of life that reached the database, shorter than the silence after which others take over, so that a
// job is cancelled here before it can run elsewhere. Once it has run out, the claims made under it are left to the
// takeover, and a new lease has a new identity.
//
// Time is measured on the monotonic clock, from before the sign of life was sent.
type lease struct {
	span time.Duration

	mu     sync.Mutex
	id     string
	until  time.Time
	timer  *time.Timer
	ctx    context.Context
	cancel context.CancelFunc
}

func newLease(span time.Duration) *lease {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return &lease{span: span, ctx: ctx, cancel: cancel}
}

// identity returns the id to give the next sign of life under: the current one, or a new one where it has run out.
func (l *lease) identity() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ctx.Err() != nil {
		return rand.Text()
	}
	return l.id
}

// renew extends the lease of id to a span after sent, or begins it. It does nothing when id ran out meanwhile.
func (l *lease) renew(id string, sent time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	until := sent.Add(l.span)
	ended := l.ctx.Err() != nil
	if (ended && id == l.id) || !time.Now().Before(until) {
		return
	}
	if l.timer != nil {
		l.timer.Stop()
	}
	if ended {
		l.id = id
		l.ctx, l.cancel = context.WithCancel(context.Background())
	}
	l.until = until
	l.timer = time.AfterFunc(time.Until(until), l.expire)
}

// expire cancels what runs, unless a renewal came in between.
func (l *lease) expire() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !time.Now().Before(l.until) {
		l.cancel()
	}
}

// end gives the lease up.
func (l *lease) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.timer != nil {
		l.timer.Stop()
	}
	l.cancel()
}

// current returns the identity to claim under, and whether there is one.
func (l *lease) current() (id string, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.id, l.ctx.Err() == nil && time.Now().Before(l.until)
}

// hold returns a context that ends with the lease, and whether what was claimed under id may be run.
func (l *lease) hold(id string) (ctx context.Context, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.ctx, id == l.id && l.ctx.Err() == nil && time.Now().Before(l.until)
}

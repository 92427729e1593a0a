package database

import (
	"context"
	"crypto/rand"
	"errors"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/lib/pq"
)

const (
	// sessionCheckTTL is how long a result is valid: a pooler can be reconfigured while Inner runs.
	sessionCheckTTL = time.Minute
	// sessionCheckRounds is how often the two connections are compared. The first round reveals an idle pooler, the second one
	// that uses its servers in turn, the others a busy one.
	sessionCheckRounds = 4

	pooledText = ": leads to a pooler that assigns a session per transaction or statement; Inner's parameters and prepared " +
		"statements need a session per connection. Set PgBouncer's pool_mode to session, or connect to the server itself"
)

// sessionCheck detects connections without a session of their own, PgBouncer's pool_mode transaction and statement: there,
// other clients would get Inner's parameters, and prepared statements would be missing.
type sessionCheck struct {
	// lostSessions counts the pool's sessions that turned out to be shared. Each one invalidates earlier results.
	lostSessions atomic.Uint64

	lock       chan struct{} // held during a check
	passed     time.Time     // when the check last succeeded
	lostBefore uint64        // lostSessions at that time
}

func newSessionCheck() *sessionCheck { return &sessionCheck{lock: make(chan struct{}, 1)} }

// run compares c with a second connection, unless the last result is still valid.
func (p *sessionCheck) run(ctx context.Context, o *opener, c *newConn) error {
	select {
	case p.lock <- struct{}{}:
		defer func() { <-p.lock }()
	case <-ctx.Done():
		return ctx.Err()
	}
	if err := c.setDeadline(o.limit); err != nil { // the wait for the lock does not count
		return err
	}
	lostSessions := p.lostSessions.Load()
	if lostSessions != p.lostBefore {
		p.passed = time.Time{}
	}
	if time.Since(p.passed) < sessionCheckTTL {
		return nil
	}
	other, err := o.dial(ctx)
	if err == nil {
		err = compareSessions(ctx, o, c, other)
		_ = other.Close() // its state is unknown
	}
	if pooler, ok := errors.AsType[*PoolerError](err); ok && pooler.full && !p.passed.IsZero() {
		err = c.setDeadline(o.limit) // no room for a second connection: the last result stays
	}
	if _, refused := errors.AsType[*pq.Error](err); refused && IsRefused(err) {
		err = nil // a server that refuses custom parameters is no pooler
	}
	if err == nil {
		p.passed, p.lostBefore = time.Now(), lostSessions
	}
	return err
}

// compareSessions sets a parameter in the session of one connection and reads it in the other's, and again in its own.
func compareSessions(ctx context.Context, o *opener, one, other *newConn) error {
	const read = `SELECT current_setting('inner.session', true)`
	prefix := rand.Text()
	for round := range sessionCheckRounds {
		written, err := o.queryFirst(ctx, one,
			`SELECT set_config('inner.session', `+pq.QuoteLiteral(prefix+strconv.Itoa(round))+`, false)`)
		if err != nil {
			return err
		}
		theirs, err := o.queryFirst(ctx, other, read)
		if err != nil {
			return err
		}
		ours, err := o.queryFirst(ctx, one, read)
		if err != nil {
			return err
		}
		if strings.HasPrefix(theirs, prefix) || ours != written {
			return &PoolerError{text: o.key + pooledText}
		}
	}
	return nil
}

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
	// poolingAge is how long a check holds: a pooler can be configured otherwise while Inner runs.
	poolingAge = time.Minute
	// poolingRounds is how often the two connections are compared. The first shows a quiet pooler, the second one that takes
	// its servers in turn, the others a busy one.
	poolingRounds = 4

	pooledText = ": leads to a pooler that gives every transaction or statement another session; Inner's settings and prepared " +
		"statements need one of their own. Set PgBouncer's pool_mode to session for this database, or name the server itself"
)

// poolingCheck finds out that connections have no sessions of their own: PgBouncer's pool_mode transaction and statement. Then
// settings would be other clients' too, and prepared statements are not where they are looked for.
type poolingCheck struct {
	// losses counts the sessions of the pool that turned out not to be their connections' own. What was found before one is void.
	losses atomic.Uint64

	turn   chan struct{} // held by the one who checks
	passed time.Time     // when sessions were last found to be their connections' own
	before uint64        // the losses until then
}

func newPoolingCheck() *poolingCheck { return &poolingCheck{turn: make(chan struct{}, 1)} }

// run checks by c and a second connection, unless that was done a short while ago.
func (p *poolingCheck) run(ctx context.Context, o *opener, c *opened) error {
	select {
	case p.turn <- struct{}{}:
		defer func() { <-p.turn }()
	case <-ctx.Done():
		return ctx.Err()
	}
	if err := c.limited(o.limit); err != nil { // its time did not run while it waited
		return err
	}
	losses := p.losses.Load()
	if losses != p.before {
		p.passed = time.Time{}
	}
	if time.Since(p.passed) < poolingAge {
		return nil
	}
	other, err := o.dial(ctx)
	if err == nil {
		err = compare(ctx, o, c, other)
		_ = other.Close() // it is of no use any more, whatever has become of it
	}
	if pooler, ok := errors.AsType[*PoolerError](err); ok && pooler.full && !p.passed.IsZero() {
		err = c.limited(o.limit) // no room for a second one: what was so a while ago is taken to be so
	}
	if _, refused := errors.AsType[*pq.Error](err); refused && IsRefused(err) {
		err = nil // a server that does not know settings of this kind is no pooler
	}
	if err == nil {
		p.passed, p.before = time.Now(), losses
	}
	return err
}

// compare writes into the session of one connection and looks for that in the other's, and in its own again.
func compare(ctx context.Context, o *opener, one, other *opened) error {
	const read = `SELECT current_setting('inner.session', true)`
	prefix := rand.Text()
	for round := range poolingRounds {
		written, err := o.first(ctx, one, `SELECT set_config('inner.session', `+pq.QuoteLiteral(prefix+strconv.Itoa(round))+`, false)`)
		if err != nil {
			return err
		}
		theirs, err := o.first(ctx, other, read)
		if err != nil {
			return err
		}
		ours, err := o.first(ctx, one, read)
		if err != nil {
			return err
		}
		if strings.HasPrefix(theirs, prefix) || ours != written {
			return &PoolerError{text: o.key + pooledText}
		}
	}
	return nil
}

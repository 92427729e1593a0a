package store

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/binary"
	"errors"
	"time"

	"app238.com/inner/app/database"
	"app238.com/inner/modules/combinator/internal/engine"
)

var (
	// ErrBusy says that another task changes what the user has.
	ErrBusy = errors.New("the user's lease is held")
	// ErrVoid says that the lease was taken over: by the same task in another process, or after its end.
	ErrVoid = errors.New("the user's lease was taken over")
)

// Leased is what is known of a user of the RDB engine whose lease is held.
type Leased struct {
	// Prepared is what the user's role was given last, see engine.RDB's Fingerprint; "" for a new user.
	Prepared string
	// Place is where the user's things are, Own whether this platform's rows say that it made them.
	Place engine.Place
	Own   bool
}

// Unknown is what the row of a user says who has something in the RDB engine of which nobody knows what it was given.
const Unknown = "unknown"

// Remaining is what WithTenant's work returns after it took something away: the row stays as long as the user has
// anything, since it is by the row that the audit knows whose that is.
func Remaining(prepared string, nothing bool) string {
	switch {
	case nothing:
		return ""
	case prepared == "":
		return Unknown
	}
	return prepared
}

// A task that is run again takes the lease over from itself: the process that ran it before is dead. A lease that lies much
// further ahead than one can last is void: the clock was put back. Just further ahead are those of others whose statement began
// after this one and came first, or whose server's clock is ahead. The same number is taken again where the answer was lost.
const (
	takeLease = `INSERT INTO combinator_tenants (user_uid, lease_number, leased_by, leased_until)
VALUES ($1, $2, $3, LOCALTIMESTAMP + $4::FLOAT8 * INTERVAL '1 second')
ON CONFLICT (user_uid) DO UPDATE SET lease_number = excluded.lease_number, leased_by = excluded.leased_by, leased_until = excluded.leased_until
WHERE combinator_tenants.leased_until IS NULL OR combinator_tenants.leased_until <= LOCALTIMESTAMP
    OR combinator_tenants.leased_until > excluded.leased_until + $5::FLOAT8 * INTERVAL '1 second'
    OR combinator_tenants.lease_number = excluded.lease_number
    OR combinator_tenants.leased_by = excluded.leased_by AND excluded.leased_by <> 0
RETURNING prepared, platform, role_name, database_name`
	claimTenant = `UPDATE combinator_tenants SET platform = $3, role_name = $4, database_name = $5
WHERE user_uid = $1 AND lease_number = $2`
	markTenant = `UPDATE combinator_tenants SET prepared = $3, changed_at = LOCALTIMESTAMP, leased_until = NULL
WHERE user_uid = $1 AND lease_number = $2`
	forgetTenant = `DELETE FROM combinator_tenants WHERE user_uid = $1 AND lease_number = $2`
	// A task keeps the user's other ones out for a while, not itself.
	restLease = `UPDATE combinator_tenants SET leased_until = LOCALTIMESTAMP + $3::FLOAT8 * INTERVAL '1 second' WHERE user_uid = $1 AND lease_number = $2`
	endLease  = `UPDATE combinator_tenants SET leased_until = NULL WHERE user_uid = $1 AND lease_number = $2`
	keepLease = `UPDATE combinator_tenants SET leased_by = 0, leased_until = LOCALTIMESTAMP + $3::FLOAT8 * INTERVAL '1 second'
WHERE user_uid = $1 AND lease_number = $2`
)

// WithTenant runs work of a task, 0 for none, while no other task changes what this user has in the RDB engine. It holds a lease, and no
// transaction: engines wait for those. Where another task holds it, ErrBusy is returned at once. Work is told what is
// recorded of the user, and returns what the user's role was given now: the same, or "" when the user has nothing there any
// more. It is void, and ErrVoid returned, where the lease was taken over meanwhile.
//
// With a place, work is going to make something there: before it runs, that stands in the row.
func (r *Store) WithTenant(ctx context.Context, task int64, userUID string, place *engine.Place, work func(ctx context.Context, t Leased) (string, error)) error {
	number := newNumber()
	t, begun, err := r.take(ctx, task, userUID, number, place)
	if err != nil {
		return err
	}
	working, cancel := context.WithDeadline(ctx, begun.Add(r.statement))
	defer cancel()
	if working.Err() != nil && ctx.Err() == nil { // it was waited for too long: nothing can be done within it
		r.release(ctx, userUID, number)
		return ErrBusy
	}
	start := time.Now()
	now, err := work(working, t)
	switch {
	case errors.Is(err, engine.ErrUncertain): // until what was asked of the engine cannot be carried out any more
		_ = r.fenced(context.WithoutCancel(ctx), keepLease, userUID, number, r.statement.Seconds()) // it ends by itself
		return err
	case errors.Is(err, engine.ErrBusy), errors.Is(err, engine.ErrUnfinished):
		rest := min(restFactor*time.Since(start), r.lease())
		_ = r.fenced(context.WithoutCancel(ctx), restLease, userUID, number, rest.Seconds()) // it ends by itself
		return err
	case err != nil:
		r.release(ctx, userUID, number)
		return err
	}
	switch now {
	case "":
		return r.fenced(ctx, forgetTenant, userUID, number)
	case t.Prepared:
		return r.fenced(ctx, endLease, userUID, number)
	}
	return r.fenced(ctx, markTenant, userUID, number, now)
}

// restFactor is how many times longer than a task took that waited for others, or is not finished, the user's other tasks yield. One
// worker serves all users: what one of them holds up takes a tenth of its time at most, however many tasks that are.
const restFactor = 10

// newNumber makes the number of a lease. It is random, since a row that was forgotten and is there again must not give a
// number out twice.
func newNumber() int64 {
	var bytes [8]byte
	_, _ = rand.Read(bytes[:]) // it never fails
	return int64(binary.BigEndian.Uint64(bytes[:]) >> 1)
}

// lease is how long one lasts: as long as work, and then what work gave up waiting for, can last.
func (r *Store) lease() time.Duration { return 2 * r.statement }

// ahead is how much further than a new one a lease that holds may last: for as long as a statement that takes one may have
// waited, and for clocks and settings of other processes that differ.
func (r *Store) ahead() time.Duration { return r.lease() + r.timeout }

// take takes the lease, which lasts from begun at least: that is before the statement which took it was sent.
func (r *Store) take(ctx context.Context, task int64, userUID string, number int64, place *engine.Place) (t Leased, begun time.Time, err error) {
	var platform string
	err = database.Retry(ctx, func(ctx context.Context) error {
		begun = time.Now()
		ctx, cancel := context.WithTimeout(ctx, r.timeout)
		defer cancel()
		return r.db.QueryRowContext(ctx, takeLease, userUID, number, task, r.lease().Seconds(), r.ahead().Seconds()).
			Scan(&t.Prepared, &platform, &t.Place.Role, &t.Place.Database)
	})
	if errors.Is(err, sql.ErrNoRows) {
		return t, begun, ErrBusy
	}
	if err != nil {
		return t, begun, err
	}
	t.Own = platform == r.platform
	if !t.Own { // an earlier release's, or that of the platform of which this database is a copy
		t.Place = engine.Place{}
	}
	if place == nil {
		return t, begun, nil
	}
	t, err = r.claim(ctx, userUID, number, t, *place)
	return t, begun, err
}

// claim writes down where work is going to make something, unless that stands in the row.
func (r *Store) claim(ctx context.Context, userUID string, number int64, t Leased, place engine.Place) (Leased, error) {
	recorded := t.Place
	if recorded.Role == "" {
		recorded.Role = place.Role
	}
	if recorded.Database == "" {
		recorded.Database = place.Database
	}
	if t.Own && recorded == t.Place {
		return t, nil
	}
	if err := r.fenced(ctx, claimTenant, userUID, number, r.platform, recorded.Role, recorded.Database); err != nil {
		r.release(ctx, userUID, number)
		return t, err
	}
	t.Place, t.Own = recorded, true
	return t, nil
}

// release gives a lease back before its time.
func (r *Store) release(ctx context.Context, userUID string, number int64) {
	_ = r.fenced(context.WithoutCancel(ctx), endLease, userUID, number) // it ends by itself
}

// fenced writes to the row of a user whose lease has this number, or returns ErrVoid.
func (r *Store) fenced(ctx context.Context, statement string, args ...any) error {
	return database.Retry(ctx, func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, r.timeout)
		defer cancel()
		result, err := r.db.ExecContext(ctx, statement, args...)
		if err != nil {
			return err
		}
		if n, err := result.RowsAffected(); err != nil || n == 0 {
			return errors.Join(ErrVoid, err)
		}
		return nil
	})
}

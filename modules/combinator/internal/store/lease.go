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
	ErrLeaseHeld = errors.New("the user's lease is held")
	// ErrVoid says that the lease was taken over: by the same task in another process, or after its end.
	ErrLeaseLost = errors.New("the user's lease was taken over")
)

// Leased is what is known of a user of the RDB engine whose lease is held.
type LeasedTenant struct {
	// Prepared is what the user's role was given last, see engine.RDB's Fingerprint; "" for a new user.
	Prepared string
	// Place is where the user's things are, Own whether this platform's rows say that it made them.
	Names engine.TenantNames
	Owned bool
}

// Unknown is what the row of a user says who has something in the RDB engine of which nobody knows what it was given.
const PreparedUnknown = "unknown"

// Remaining is what WithTenant's work returns after it took something away: the row stays as long as the user has
// anything, since it is by the row that the audit knows whose that is.
func PreparedAfterRemoval(prepared string, empty bool) string {
	switch {
	case empty:
		return ""
	case prepared == "":
		return PreparedUnknown
	}
	return prepared
}

// A task that is run again takes the lease over from itself: the process that ran it before is dead. A lease that lies much
// further ahead than one can last is void: the clock was put back. Just further ahead are those of others whose statement began
// after this one and came first, or whose server's clock is ahead. The same number is taken again where the answer was lost.
const (
	acquireLease = `INSERT INTO combinator_tenants (user_uid, lease_number, leased_by, leased_until)
VALUES ($1, $2, $3, LOCALTIMESTAMP + $4::FLOAT8 * INTERVAL '1 second')
ON CONFLICT (user_uid) DO UPDATE SET lease_number = excluded.lease_number, leased_by = excluded.leased_by, leased_until = excluded.leased_until
WHERE combinator_tenants.leased_until IS NULL OR combinator_tenants.leased_until <= LOCALTIMESTAMP
    OR combinator_tenants.leased_until > excluded.leased_until + $5::FLOAT8 * INTERVAL '1 second'
    OR combinator_tenants.lease_number = excluded.lease_number
    OR combinator_tenants.leased_by = excluded.leased_by AND excluded.leased_by <> 0
RETURNING prepared, platform, role_name, database_name`
	recordTenantNames = `UPDATE combinator_tenants SET platform = $3, role_name = $4, database_name = $5
WHERE user_uid = $1 AND lease_number = $2`
	recordPrepared = `UPDATE combinator_tenants SET prepared = $3, changed_at = LOCALTIMESTAMP, leased_until = NULL
WHERE user_uid = $1 AND lease_number = $2`
	deleteTenant = `DELETE FROM combinator_tenants WHERE user_uid = $1 AND lease_number = $2`
	// A task keeps the user's other ones out for a while, not itself.
	backoffLease = `UPDATE combinator_tenants SET leased_until = LOCALTIMESTAMP + $3::FLOAT8 * INTERVAL '1 second' WHERE user_uid = $1 AND lease_number = $2`
	releaseLease = `UPDATE combinator_tenants SET leased_until = NULL WHERE user_uid = $1 AND lease_number = $2`
	extendLease  = `UPDATE combinator_tenants SET leased_by = 0, leased_until = LOCALTIMESTAMP + $3::FLOAT8 * INTERVAL '1 second'
WHERE user_uid = $1 AND lease_number = $2`
)

// WithTenant runs work of a task, 0 for none, while no other task changes what this user has in the RDB engine. It holds a lease, and no
// transaction: engines wait for those. Where another task holds it, ErrBusy is returned at once. Work is told what is
// recorded of the user, and returns what the user's role was given now: the same, or "" when the user has nothing there any
// more. It is void, and ErrVoid returned, where the lease was taken over meanwhile.
//
// With a place, work is going to make something there: before it runs, that stands in the row.
func (s *Store) WithTenant(ctx context.Context, task int64, userUID string, names *engine.TenantNames, work func(ctx context.Context, t LeasedTenant) (string, error)) error {
	number := newLeaseNumber()
	t, sentAt, err := s.acquire(ctx, task, userUID, number, names)
	if err != nil {
		return err
	}
	working, cancel := context.WithDeadline(ctx, sentAt.Add(s.engineTimeout))
	defer cancel()
	if working.Err() != nil && ctx.Err() == nil { // it was waited for too long: nothing can be done within it
		s.release(ctx, userUID, number)
		return ErrLeaseHeld
	}
	start := time.Now()
	prepared, err := work(working, t)
	switch {
	case errors.Is(err, engine.ErrUncertain): // until what was asked of the engine cannot be carried out any more
		_ = s.execFenced(context.WithoutCancel(ctx), extendLease, userUID, number, s.engineTimeout.Seconds()) // it ends by itself
		return err
	case errors.Is(err, engine.ErrBusy):
		backoff := min(backoffFactor*time.Since(start), s.leaseDuration())
		_ = s.execFenced(context.WithoutCancel(ctx), backoffLease, userUID, number, backoff.Seconds()) // it ends by itself
		return err
	case err != nil:
		s.release(ctx, userUID, number)
		return err
	}
	switch prepared {
	case "":
		return s.execFenced(ctx, deleteTenant, userUID, number)
	case t.Prepared:
		return s.execFenced(ctx, releaseLease, userUID, number)
	}
	return s.execFenced(ctx, recordPrepared, userUID, number, prepared)
}

// restFactor is how many times longer than a task waited for what others hold the user's other tasks yield. One worker serves all
// users: what one of them holds up takes a tenth of its time at most, however many tasks that are.
const backoffFactor = 10

// newNumber makes the number of a lease. It is random, since a row that was forgotten and is there again must not give a
// number out twice.
func newLeaseNumber() int64 {
	var bytes [8]byte
	_, _ = rand.Read(bytes[:]) // it never fails
	return int64(binary.BigEndian.Uint64(bytes[:]) >> 1)
}

// lease is how long one lasts: as long as work, and then what work gave up waiting for, can last.
func (s *Store) leaseDuration() time.Duration { return 2 * s.engineTimeout }

// ahead is how much further than a new one a lease that holds may last: for as long as a statement that takes one may have
// waited, and for clocks and settings of other processes that differ.
func (s *Store) maxLeaseAhead() time.Duration { return s.leaseDuration() + s.timeout }

// take takes the lease, which lasts from begun at least: that is before the statement which took it was sent.
func (s *Store) acquire(ctx context.Context, task int64, userUID string, number int64, names *engine.TenantNames) (t LeasedTenant, sentAt time.Time, err error) {
	var platform string
	err = database.Retry(ctx, func(ctx context.Context) error {
		sentAt = time.Now()
		ctx, cancel := context.WithTimeout(ctx, s.timeout)
		defer cancel()
		return s.db.QueryRowContext(ctx, acquireLease, userUID, number, task, s.leaseDuration().Seconds(), s.maxLeaseAhead().Seconds()).
			Scan(&t.Prepared, &platform, &t.Names.Role, &t.Names.Database)
	})
	if errors.Is(err, sql.ErrNoRows) {
		return t, sentAt, ErrLeaseHeld
	}
	if err != nil {
		return t, sentAt, err
	}
	t.Owned = platform == s.platform
	if !t.Owned { // an earlier release's, or that of the platform of which this database is a copy
		t.Names = engine.TenantNames{}
	}
	if names == nil {
		return t, sentAt, nil
	}
	t, err = s.recordTenantNames(ctx, userUID, number, t, *names)
	return t, sentAt, err
}

// claim writes down where work is going to make something, unless that stands in the row.
func (s *Store) recordTenantNames(ctx context.Context, userUID string, number int64, t LeasedTenant, names engine.TenantNames) (LeasedTenant, error) {
	recorded := t.Names
	if recorded.Role == "" {
		recorded.Role = names.Role
	}
	if recorded.Database == "" {
		recorded.Database = names.Database
	}
	if t.Owned && recorded == t.Names {
		return t, nil
	}
	if err := s.execFenced(ctx, recordTenantNames, userUID, number, s.platform, recorded.Role, recorded.Database); err != nil {
		s.release(ctx, userUID, number)
		return t, err
	}
	t.Names, t.Owned = recorded, true
	return t, nil
}

// release gives a lease back before its time.
func (s *Store) release(ctx context.Context, userUID string, number int64) {
	_ = s.execFenced(context.WithoutCancel(ctx), releaseLease, userUID, number) // it ends by itself
}

// fenced writes to the row of a user whose lease has this number, or returns ErrVoid.
func (s *Store) execFenced(ctx context.Context, statement string, args ...any) error {
	return database.Retry(ctx, func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, s.timeout)
		defer cancel()
		result, err := s.db.ExecContext(ctx, statement, args...)
		if err != nil {
			return err
		}
		if n, err := result.RowsAffected(); err != nil || n == 0 {
			return errors.Join(ErrLeaseLost, err)
		}
		return nil
	})
}

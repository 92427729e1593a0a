package store

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/binary"
	"errors"
	"time"

	"app238.com/inner/modules/combinator/internal/engine"
)

var (
	// ErrLeaseHeld says that another task holds the user's lease.
	ErrLeaseHeld = errors.New("the user's lease is held")
	// ErrLeaseLost says that the lease was taken over: by the same task in another process, or after it expired.
	ErrLeaseLost = errors.New("the user's lease was taken over")
)

// LeasedTenant is the record of a user of the RDB engine whose lease is held.
type LeasedTenant struct {
	// Prepared is the fingerprint of the user's role, see engine.RDB's Fingerprint; "" for a new user.
	Prepared string
	// Names are the recorded names of the user's role and database. Owned is true when this platform created them.
	Names engine.TenantNames
	Owned bool
}

// PreparedUnknown is the recorded fingerprint of a user whose role may have any key and settings.
const PreparedUnknown = "unknown"

// PreparedAfterRemoval returns the fingerprint to record after objects were dropped: the row stays until the user has
// nothing left, since the audit finds the rest by the row.
func PreparedAfterRemoval(prepared string, empty bool) string {
	switch {
	case empty:
		return ""
	case prepared == "":
		return PreparedUnknown
	}
	return prepared
}

// These statements are raw SQL, as a lease is measured by the database's clock. Those without a time are written like the others:
// every write of a holder is fenced by the lease's number.
//
// A retried task takes over its own lease: the process that ran it before is dead. A lease that lasts much longer than it was
// acquired for (leased_for, in seconds) is void: the clock was set back. The margin is for clocks that differ, and for statements
// of which the later one is committed first. An earlier release records no duration: its leases are not void, and leased_for is 0
// while nobody holds a lease, so that they are not judged by the duration of the lease before. The same lease number is accepted
// again, since the response to the first try may have been lost.
const (
	acquireLease = `INSERT INTO combinator_tenants (user_uid, lease_number, leased_by, leased_until, leased_for)
VALUES ($1, $2, $3, LOCALTIMESTAMP + $4::FLOAT8 * INTERVAL '1 second', $4::FLOAT8)
ON CONFLICT (user_uid) DO UPDATE SET lease_number = excluded.lease_number, leased_by = excluded.leased_by,
    leased_until = excluded.leased_until, leased_for = excluded.leased_for
WHERE combinator_tenants.leased_until IS NULL OR combinator_tenants.leased_until <= LOCALTIMESTAMP
    OR combinator_tenants.leased_for > 0 AND combinator_tenants.leased_until >
        LOCALTIMESTAMP + (2 * combinator_tenants.leased_for + $5::FLOAT8) * INTERVAL '1 second'
    OR combinator_tenants.lease_number = excluded.lease_number
    OR combinator_tenants.leased_by = excluded.leased_by AND excluded.leased_by <> 0
RETURNING prepared, platform, role_name, database_name`
	recordTenantNames = `UPDATE combinator_tenants SET platform = $3, role_name = $4, database_name = $5
WHERE user_uid = $1 AND lease_number = $2`
	recordPrepared = `UPDATE combinator_tenants SET prepared = $3, changed_at = LOCALTIMESTAMP, leased_until = NULL, leased_for = 0
WHERE user_uid = $1 AND lease_number = $2`
	deleteTenant = `DELETE FROM combinator_tenants WHERE user_uid = $1 AND lease_number = $2`
	// backoffLease excludes the user's other tasks for a while, not the task itself.
	backoffLease = `UPDATE combinator_tenants SET leased_until = LOCALTIMESTAMP + $3::FLOAT8 * INTERVAL '1 second' WHERE user_uid = $1 AND lease_number = $2`
	releaseLease = `UPDATE combinator_tenants SET leased_until = NULL, leased_for = 0 WHERE user_uid = $1 AND lease_number = $2`
	extendLease  = `UPDATE combinator_tenants SET leased_by = 0, leased_until = LOCALTIMESTAMP + $3::FLOAT8 * INTERVAL '1 second'
WHERE user_uid = $1 AND lease_number = $2`
)

// WithTenant runs work of a task (0 for none) under the lease of this user, while no other task changes what the user has in
// the RDB engine. The lease is no transaction, as engines may be slow. When another task holds the lease, ErrLeaseHeld is
// returned at once. Work gets the record of the user and returns the new fingerprint, or "" when the user has nothing left
// in the engine. It is not recorded, and ErrLeaseLost returned, when the lease was taken over meanwhile.
//
// With names, work is going to create objects of these names: they are recorded before work runs.
func (s *Store) WithTenant(
	ctx context.Context, task int64, userUID string, names *engine.TenantNames,
	work func(ctx context.Context, t LeasedTenant) (string, error),
) error {
	number := newLeaseNumber()
	t, sentAt, err := s.acquire(ctx, task, userUID, number, names)
	if err != nil {
		return err
	}
	working, cancel := context.WithDeadline(ctx, sentAt.Add(s.engineTimeout))
	defer cancel()
	if working.Err() != nil && ctx.Err() == nil { // acquiring took longer than the lease lasts
		s.release(ctx, userUID, number)
		return ErrLeaseHeld
	}
	start := time.Now()
	prepared, err := work(working, t)
	switch {
	case errors.Is(err, engine.ErrUncertain): // until the engine cannot carry out the request any more
		// on error the lease expires
		_ = s.execFenced(context.WithoutCancel(ctx), extendLease, userUID, number, s.engineTimeout.Seconds())
		return err
	case errors.Is(err, engine.ErrBusy), errors.Is(err, engine.ErrUnfinished):
		backoff := min(backoffFactor*time.Since(start), s.leaseDuration())
		_ = s.execFenced(context.WithoutCancel(ctx), backoffLease, userUID, number, backoff.Seconds()) // on error the lease expires
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

// backoffFactor is how many times longer than a task took that waited for locks, or is not finished, the user's other tasks are
// excluded. One worker serves all users: one user takes at most a tenth of its time, whatever the number of tasks.
const backoffFactor = 10

// newLeaseNumber returns a random number, since a row that was deleted and inserted again must not give a number out twice.
func newLeaseNumber() int64 {
	var bytes [8]byte
	_, _ = rand.Read(bytes[:]) // never fails
	return int64(binary.BigEndian.Uint64(bytes[:]) >> 1)
}

// leaseDuration is long enough for work and for the statements that work no longer waits for.
func (s *Store) leaseDuration() time.Duration { return 2 * s.engineTimeout }

// acquire acquires the lease. It is valid for its duration from sentAt, the time before the statement was sent.
func (s *Store) acquire(
	ctx context.Context, task int64, userUID string, number int64, names *engine.TenantNames,
) (t LeasedTenant, sentAt time.Time, err error) {
	var platform string
	err = s.retry(ctx, func(ctx context.Context) error {
		sentAt = time.Now()
		return s.db.QueryRowContext(ctx, acquireLease, userUID, number, task, s.leaseDuration().Seconds(), s.timeout.Seconds()).
			Scan(&t.Prepared, &platform, &t.Names.Role, &t.Names.Database)
	})
	if errors.Is(err, sql.ErrNoRows) {
		return t, sentAt, ErrLeaseHeld
	}
	if err != nil {
		return t, sentAt, err
	}
	t.Owned = platform == s.platform
	if !t.Owned { // recorded by an earlier release, or by the platform of which this database is a copy
		t.Names = engine.TenantNames{}
	}
	if names == nil {
		return t, sentAt, nil
	}
	t, err = s.recordTenantNames(ctx, userUID, number, t, *names)
	return t, sentAt, err
}

// recordTenantNames records the names of the objects that work is going to create.
func (s *Store) recordTenantNames(
	ctx context.Context, userUID string, number int64, t LeasedTenant, names engine.TenantNames,
) (LeasedTenant, error) {
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

// release ends a lease early.
func (s *Store) release(ctx context.Context, userUID string, number int64) {
	_ = s.execFenced(context.WithoutCancel(ctx), releaseLease, userUID, number) // on error the lease expires
}

// execFenced writes to the row of a user if its lease has this number, else it returns ErrLeaseLost.
func (s *Store) execFenced(ctx context.Context, statement string, args ...any) error {
	return s.retry(ctx, func(ctx context.Context) error {
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

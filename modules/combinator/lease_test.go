package combinator_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"app238.com/inner/app/config"
	"app238.com/inner/app/database"
	"app238.com/inner/modules/combinator/internal/engine"
	"app238.com/inner/modules/combinator/internal/jobs"
	"app238.com/inner/modules/combinator/internal/store"
	"app238.com/inner/modules/tasks/job"
	"app238.com/inner/test/testdatabase"
)

// holdLease holds the lease of u1 while it runs work.
func holdLease(t *testing.T, b *bundle, work func()) error {
	t.Helper()
	return b.store.WithTenant(t.Context(), 0, "u1", nil, func(context.Context, store.LeasedTenant) (string, error) {
		work()
		return "held", nil
	})
}

func TestLeaseHoldsNoTransaction(t *testing.T) {
	t.Parallel()
	testdatabase.PostgreSQLOnly(t, "pg_stat_activity")
	b := setup(t)
	var name string
	require.NoError(t, b.db.QueryRow(`SELECT current_database()`).Scan(&name))
	require.NoError(t, holdLease(t, b, func() {
		require.Equal(t, []string{"0"}, column(t, b.admin(""),
			`SELECT count(*) FROM pg_stat_activity WHERE datname = $1 AND state LIKE 'idle in transaction%'`, name))
	}))
}

func TestHeldLeaseSnoozesOnlyTasksOfItsUser(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, uid := range []string{"u1", "u2"} {
		b.user(uid, "sk_"+uid)
		b.resource(uid, "r", "rdb")
	}
	require.NoError(t, holdLease(t, b, func() {
		for kind, payload := range map[string]map[string]string{
			jobs.CreateRDBType: ref("u1", "r"), jobs.DeleteRDBType: ref("u1", "r"), jobs.RegisterUserType: {"user_uid": "u1"},
		} {
			var later *job.Error
			require.ErrorAs(t, b.run(kind, payload), &later, kind)
			require.Equal(t, job.Snooze, later.Kind, kind)
		}
		require.NoError(t, b.run(jobs.CreateRDBType, ref("u2", "r")))
	}))
	require.NoError(t, b.run(jobs.CreateRDBType, ref("u1", "r")))
}

func TestRetriedTaskTakesOverItsOwnLease(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.user("u1", "sk_one")
	b.resource("u1", "r", "rdb")
	held := func(task int64, work func()) error {
		return b.store.WithTenant(t.Context(), task, "u1", nil, func(context.Context, store.LeasedTenant) (string, error) {
			work()
			return "held", nil
		})
	}
	require.ErrorIs(t, held(1, func() { // run gives every task the id 1
		require.ErrorIs(t, held(2, func() {}), store.ErrLeaseHeld, "another task waits")
		require.NoError(t, b.run(jobs.CreateRDBType, ref("u1", "r")))
	}), store.ErrLeaseLost, "the holder of a lost lease writes nothing")
	require.Equal(t, "active", b.status("r"))
	require.Equal(t, []string{b.rdb.Fingerprint("sk_one")}, column(t, b.db.DB, `SELECT prepared FROM combinator_tenants`))
	require.NoError(t, held(2, func() {}))
}

func TestLostLeaseWritesNothing(t *testing.T) {
	t.Parallel()
	b := setup(t)
	err := holdLease(t, b, func() {
		b.expireLeases()
		require.NoError(t,
			b.store.WithTenant(t.Context(), 0, "u1", nil, func(context.Context, store.LeasedTenant) (string, error) { return "", nil }))
		require.NoError(t, b.store.WithTenant(t.Context(), 0, "u1", nil,
			func(context.Context, store.LeasedTenant) (string, error) { return "later", nil }))
	})
	require.ErrorIs(t, err, store.ErrLeaseLost)
	require.Equal(t, []string{"later"}, column(t, b.db.DB, `SELECT prepared FROM combinator_tenants WHERE user_uid = 'u1'`),
		"a lost lease writes nothing, even after its row was deleted and inserted again")
}

func TestLeaseOutlivesOnlyUncertainOutcome(t *testing.T) {
	t.Parallel()
	b := setup(t)
	fail := func(err error) {
		t.Helper()
		require.ErrorIs(t, b.store.WithTenant(t.Context(), 7, "u1", nil,
			func(context.Context, store.LeasedTenant) (string, error) { return "", err }), err)
	}
	fail(errors.New("refused"))
	fail(engine.ErrUncertain)
	for _, task := range []int64{7, 8} {
		err := b.store.WithTenant(t.Context(), task, "u1", nil,
			func(context.Context, store.LeasedTenant) (string, error) { return "", nil })
		require.ErrorIs(t, err, store.ErrLeaseHeld, "the request may still be carried out")
	}
	b.expireLeases()
	require.ErrorIs(t, holdLease(t, b, func() {
		b.leaseUntil(time.Hour)
		require.NoError(t, holdLease(t, b, func() {}), "no lease lasts as long: the clock was set back")
	}), store.ErrLeaseLost)
}

// leaseUntil sets the remaining time of all leases.
func (b *bundle) leaseUntil(left time.Duration) {
	b.t.Helper()
	_, err := b.db.Exec(`UPDATE combinator_tenants SET leased_until = LOCALTIMESTAMP + $1::FLOAT8 * INTERVAL '1 second'`,
		left.Seconds())
	require.NoError(b.t, err)
}

func TestLeaseIsJudgedByItsOwnDuration(t *testing.T) {
	t.Parallel()
	b := setup(t, func(c *config.Config) { c.Combinator.RDB.RequestTimeout = 5 * time.Minute })
	shorter := *b.config
	shorter.Combinator.RDB.RequestTimeout = time.Minute
	other := store.New(database.NewEnt(b.db.DB), b.db.DB, &shorter)
	requireHeld := func() {
		require.ErrorIs(t, other.WithTenant(t.Context(), 0, "u1", nil, func(context.Context, store.LeasedTenant) (string, error) {
			t.Error("two hold the lease")
			return "held", nil
		}), store.ErrLeaseHeld)
	}
	require.NoError(t, holdLease(t, b, requireHeld))
	b.leaseUntil(10 * time.Minute) // as an earlier release does, which records no duration
	requireHeld()
}

func TestLaterLeaseCommittedFirstHolds(t *testing.T) {
	t.Parallel()
	testdatabase.PostgreSQLOnly(t, "pg_stat_activity")
	b := setup(t)
	require.NoError(t, holdLease(t, b, func() {}))
	raw := b.open(b.config.Database.DSN.Reveal())
	tx, err := raw.Begin()
	require.NoError(t, err)
	defer func() { _ = tx.Rollback() }()
	_, err = tx.Exec(`SELECT user_uid FROM combinator_tenants FOR UPDATE`)
	require.NoError(t, err)
	late := make(chan error, 1)
	go func() {
		late <- b.store.WithTenant(t.Context(), 8, "u1", nil,
			func(context.Context, store.LeasedTenant) (string, error) { return "held", nil })
	}()
	require.Eventually(t, func() bool {
		return len(column(t, raw, `SELECT pid::TEXT FROM pg_stat_activity
WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE '%combinator_tenants%'`)) > 0
	}, timeout, 10*time.Millisecond, "its statement waits, with an earlier time")
	_, err = tx.Exec(`UPDATE combinator_tenants SET lease_number = 7, leased_by = 7,
leased_until = CAST(clock_timestamp() AT TIME ZONE 'UTC' AS TIMESTAMP) + $1::FLOAT8 * INTERVAL '1 second'`, 2*b.config.Combinator.RDB.RequestTimeout.Seconds())
	require.NoError(t, err)
	require.NoError(t, tx.Commit())
	require.ErrorIs(t, <-late, store.ErrLeaseHeld, "two tasks must not hold it")
}

// whileRowLocked runs work, and locks the row of u1's lease until a statement of work waits and this time has passed.
func whileRowLocked(t *testing.T, b *bundle, longest time.Duration, work func() error) error {
	t.Helper()
	raw := b.open(b.config.Database.DSN.Reveal())
	tx, err := raw.Begin()
	require.NoError(t, err)
	defer func() { _ = tx.Rollback() }()
	_, err = tx.Exec(`SELECT user_uid FROM combinator_tenants FOR UPDATE`)
	require.NoError(t, err)
	startedAt, ended := time.Now(), make(chan error, 1)
	go func() { ended <- work() }()
	require.Eventually(t, func() bool {
		return time.Since(startedAt) > longest && len(column(t, raw, `SELECT pid::TEXT FROM pg_stat_activity
WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE '%combinator_tenants%'`)) > 0
	}, timeout, 10*time.Millisecond)
	require.NoError(t, tx.Rollback())
	return <-ended
}

func TestWorkDeadlineIsBeforeLeaseEnd(t *testing.T) {
	t.Parallel()
	testdatabase.PostgreSQLOnly(t, "pg_stat_activity")
	b := setup(t)
	require.NoError(t, holdLease(t, b, func() {}))
	var left float64
	var last time.Duration
	require.NoError(t, whileRowLocked(t, b, time.Second, func() error {
		return b.store.WithTenant(t.Context(), 8, "u1", nil, func(ctx context.Context, _ store.LeasedTenant) (string, error) {
			err := b.db.QueryRow(`SELECT EXTRACT(EPOCH FROM leased_until - LOCALTIMESTAMP) FROM combinator_tenants`).Scan(&left)
			deadline, _ := ctx.Deadline()
			last = time.Until(deadline) + b.config.Combinator.RDB.RequestTimeout
			return "held", err
		})
	}))
	require.Positive(t, last)
	require.LessOrEqual(t, last.Seconds(), left, "the last statement of the work must end before the lease")
}

func TestLateLeaseIsReleased(t *testing.T) {
	t.Parallel()
	testdatabase.PostgreSQLOnly(t, "pg_stat_activity")
	b := setup(t, func(c *config.Config) {
		c.Combinator.RDB.RequestTimeout, c.Combinator.RDB.LockTimeout = time.Second, time.Second/2
	})
	require.NoError(t, holdLease(t, b, func() {}))
	err := whileRowLocked(t, b, 2*time.Second, func() error {
		return b.store.WithTenant(t.Context(), 8, "u1", nil, func(context.Context, store.LeasedTenant) (string, error) {
			t.Error("work must not run after its lease expired")
			return "held", nil
		})
	})
	require.ErrorIs(t, err, store.ErrLeaseHeld)
	require.Equal(t, []string{"true"}, column(t, b.db.DB, `SELECT leased_until IS NULL FROM combinator_tenants`))
}

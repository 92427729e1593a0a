// Package store is the audit's own tables in SQL: what each audit counted, and which orphans were seen since when. It
// holds no policy. Only the database's clock counts.
package store

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"app238.com/inner/app/config"
	"app238.com/inner/app/database"
	"app238.com/inner/modules/audit/admin"
)

// Users is the kind under which the number of users is counted.
const Users = "user"

// auditsKept is how many audits are remembered, whatever their age.
const auditsKept = 100

// Ledger reads and writes inner_audits, inner_audit_counts and inner_audit_sightings.
type Store struct {
	db      *sql.DB
	timeout time.Duration
	window  time.Duration
}

// New returns a ledger on db.
func New(db *sql.DB, c *config.Config) *Store {
	return &Store{db: db, timeout: c.Database.StatementTimeout, window: c.Audit.ShrinkWindow}
}

const now = `SELECT LOCALTIMESTAMP`

// Now returns the database's time, in UTC.
func (l *Store) Now(ctx context.Context) (at time.Time, err error) {
	err = l.read(ctx, func(ctx context.Context) error { return l.db.QueryRowContext(ctx, now).Scan(&at) })
	return at.UTC(), err
}

const beginAudit = `
INSERT INTO inner_audits (task_id, mode) VALUES ($1, $2)
ON CONFLICT (task_id) DO UPDATE SET mode = excluded.mode, refusal = '', finished_at = NULL`

const forgetSightings = `
DELETE FROM inner_audit_sightings WHERE last_seen_at < LOCALTIMESTAMP - $1::FLOAT8 * INTERVAL '1 second'`

// Begin records that the audit of a task begins, or goes on after a crash. Sightings that were not renewed within the
// window are forgotten: an old series of audits proves nothing about today.
func (l *Store) Begin(ctx context.Context, task int64, mode string) error {
	return l.inTx(ctx, func(ctx context.Context, tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, forgetSightings, l.window.Seconds()); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, beginAudit, task, mode)
		return err
	})
}

const finishAudit = `UPDATE inner_audits SET finished_at = LOCALTIMESTAMP, refusal = $2 WHERE task_id = $1`

const oldestKept = `SELECT task_id FROM inner_audits ORDER BY task_id DESC LIMIT 1 OFFSET $1`

const forgetAudits = `
DELETE FROM inner_audits WHERE task_id < $1 AND started_at < LOCALTIMESTAMP - $2::FLOAT8 * INTERVAL '1 second'`

const forgetCounts = `
DELETE FROM inner_audit_counts WHERE task_id < $1 AND created_at < LOCALTIMESTAMP - $2::FLOAT8 * INTERVAL '1 second'`

// Finish records that an audit has gone over everything, and forgets audits that nobody asks about any more.
func (l *Store) Finish(ctx context.Context, task int64, refusal string) error {
	return l.inTx(ctx, func(ctx context.Context, tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, finishAudit, task, refusal); err != nil {
			return err
		}
		var oldest int64
		err := tx.QueryRowContext(ctx, oldestKept, auditsKept-1).Scan(&oldest)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		if err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, forgetCounts, oldest, l.window.Seconds()); err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, forgetAudits, oldest, l.window.Seconds())
		return err
	})
}

const lastAudit = `
SELECT task_id, mode, refusal, started_at, finished_at FROM inner_audits ORDER BY task_id DESC LIMIT 1`

const countsOf = `
SELECT kind, things, row_count, missing, stuck, ownerless, orphans, repaired, deleted, refusal
FROM inner_audit_counts WHERE task_id = $1 ORDER BY kind`

// Last returns what the latest audit recorded, or report.ErrNone.
func (l *Store) Last(ctx context.Context) (a admin.Audit, err error) {
	err = l.read(ctx, func(ctx context.Context) error {
		a = admin.Audit{}
		var finished sql.NullTime
		err := l.db.QueryRowContext(ctx, lastAudit).Scan(&a.Task, &a.Mode, &a.Refusal, &a.StartedAt, &finished)
		if errors.Is(err, sql.ErrNoRows) {
			return admin.ErrNone
		}
		if err != nil {
			return err
		}
		if finished.Valid {
			a.FinishedAt = &finished.Time
		}
		return l.addCounts(ctx, &a)
	})
	return a, err
}

func (l *Store) addCounts(ctx context.Context, a *admin.Audit) error {
	rows, err := l.db.QueryContext(ctx, countsOf, a.Task)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var k admin.Kind
		if err := rows.Scan(&k.Kind, &k.Things, &k.Rows, &k.Missing, &k.Stuck, &k.Ownerless, &k.Orphans,
			&k.Repaired, &k.Deleted, &k.Refusal); err != nil {
			return err
		}
		if k.Kind == Users {
			a.Users = k.Rows
			continue
		}
		a.Kinds = append(a.Kinds, k)
	}
	return rows.Err()
}

// read runs work within the time limit, again after serialization failures.
func (l *Store) read(ctx context.Context, work func(ctx context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, l.timeout)
	defer cancel()
	return database.Retry(ctx, work)
}

// inTx runs work in one transaction within the time limit, again after serialization failures.
func (l *Store) inTx(ctx context.Context, work func(ctx context.Context, tx *sql.Tx) error) error {
	return l.read(ctx, func(ctx context.Context) error {
		tx, err := l.db.BeginTx(ctx, nil)
		if err != nil {
			return err
		}
		defer func() { _ = tx.Rollback() }()
		if err := work(ctx, tx); err != nil {
			return err
		}
		return tx.Commit()
	})
}

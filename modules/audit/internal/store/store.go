// Package store reads and writes the audit's tables: what each audit counted, and since when which orphans were observed. It
// also reads the users. It holds no policy. All times are those of the database's clock.
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

// UserKind is the kind under which the number of users is counted.
const UserKind = "user"

// keptAudits is how many audits are kept, whatever their age.
const keptAudits = 100

// Store reads and writes inner_audits, inner_audit_counts and inner_audit_sightings, and reads users.
type Store struct {
	db      *sql.DB
	timeout time.Duration
	window  time.Duration
	// userPage is how many users one query reads.
	userPage int
}

// New returns a store on db.
func New(db *sql.DB, c *config.Config) *Store {
	return &Store{db: db, timeout: c.Database.StatementTimeout, window: c.Audit.ShrinkWindow, userPage: c.Audit.PageSize}
}

const now = `SELECT LOCALTIMESTAMP`

// Now returns the database's time, in UTC.
func (s *Store) Now(ctx context.Context) (at time.Time, err error) {
	err = s.retry(ctx, func(ctx context.Context) error { return s.db.QueryRowContext(ctx, now).Scan(&at) })
	return at.UTC(), err
}

const beginAudit = `
INSERT INTO inner_audits (task_id, mode) VALUES ($1, $2)
ON CONFLICT (task_id) DO UPDATE SET mode = excluded.mode, refusal = '', finished_at = NULL`

const deleteExpired = `
DELETE FROM inner_audit_sightings WHERE last_seen_at < LOCALTIMESTAMP - $1::FLOAT8 * INTERVAL '1 second'`

// Begin records that the audit of a task begins, or begins again after a crash. It deletes observations that were not renewed
// within the window: an old series of audits proves nothing about today.
func (s *Store) Begin(ctx context.Context, task int64, mode string) error {
	return s.inTx(ctx, func(ctx context.Context, tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, deleteExpired, s.window.Seconds()); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, beginAudit, task, mode)
		return err
	})
}

const finishAudit = `UPDATE inner_audits SET finished_at = LOCALTIMESTAMP, refusal = $2 WHERE task_id = $1`

const oldestKept = `SELECT task_id FROM inner_audits ORDER BY task_id DESC LIMIT 1 OFFSET $1`

const deleteAudits = `
DELETE FROM inner_audits WHERE task_id < $1 AND started_at < LOCALTIMESTAMP - $2::FLOAT8 * INTERVAL '1 second'`

const deleteCounts = `
DELETE FROM inner_audit_counts WHERE task_id < $1 AND created_at < LOCALTIMESTAMP - $2::FLOAT8 * INTERVAL '1 second'`

// Finish records that an audit is complete and deletes audits that are older than the window and the newest keptAudits.
func (s *Store) Finish(ctx context.Context, task int64, refusal string) error {
	return s.inTx(ctx, func(ctx context.Context, tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, finishAudit, task, refusal); err != nil {
			return err
		}
		var oldest int64
		err := tx.QueryRowContext(ctx, oldestKept, keptAudits-1).Scan(&oldest)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		if err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, deleteCounts, oldest, s.window.Seconds()); err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, deleteAudits, oldest, s.window.Seconds())
		return err
	})
}

const lastAudit = `
SELECT task_id, mode, refusal, started_at, finished_at FROM inner_audits ORDER BY task_id DESC LIMIT 1`

const countsOf = `
SELECT kind, things, row_count, missing, stuck, ownerless, orphans, repaired, deleted, refusal
FROM inner_audit_counts WHERE task_id = $1 ORDER BY kind`

// Last returns what the latest audit recorded, or admin.ErrNone.
func (s *Store) Last(ctx context.Context) (a admin.Audit, err error) {
	err = s.retry(ctx, func(ctx context.Context) error {
		a = admin.Audit{}
		var finished sql.NullTime
		err := s.db.QueryRowContext(ctx, lastAudit).Scan(&a.Task, &a.Mode, &a.Refusal, &a.StartedAt, &finished)
		if errors.Is(err, sql.ErrNoRows) {
			return admin.ErrNone
		}
		if err != nil {
			return err
		}
		if finished.Valid {
			a.FinishedAt = &finished.Time
		}
		return s.addCounts(ctx, &a)
	})
	return a, err
}

func (s *Store) addCounts(ctx context.Context, a *admin.Audit) error {
	rows, err := s.db.QueryContext(ctx, countsOf, a.Task)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var k admin.Kind
		if err := rows.Scan(&k.Kind, &k.Objects, &k.Rows, &k.Missing, &k.Stuck, &k.Ownerless, &k.Orphans,
			&k.Repaired, &k.Deleted, &k.Refusal); err != nil {
			return err
		}
		if k.Kind == UserKind {
			a.Users = k.Rows
			continue
		}
		a.Kinds = append(a.Kinds, k)
	}
	return rows.Err()
}

// retry runs work within the statement timeout and retries it after serialization failures.
func (s *Store) retry(ctx context.Context, work func(ctx context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	return database.Retry(ctx, work)
}

// inTx runs work in one transaction within the statement timeout and retries it after serialization failures.
func (s *Store) inTx(ctx context.Context, work func(ctx context.Context, tx *sql.Tx) error) error {
	return s.retry(ctx, func(ctx context.Context) error {
		tx, err := s.db.BeginTx(ctx, nil)
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

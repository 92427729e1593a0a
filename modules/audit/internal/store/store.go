// Package store reads and writes the audit's tables: what each audit counted, and since when which orphans were observed. It
// also reads the users. It holds no policy. All times are those of the database's clock.
package store

import (
	"context"
	"database/sql"
	"time"

	entsql "entgo.io/ent/dialect/sql"

	"app238.com/inner/app/config"
	"app238.com/inner/app/database"
	"app238.com/inner/ent"
	entaudit "app238.com/inner/ent/audit"
	"app238.com/inner/ent/auditcount"
	"app238.com/inner/modules/audit/admin"
)

// UserKind is the kind under which the number of users is counted.
const UserKind = "user"

// keptAudits is how many audits are kept, whatever their age.
const keptAudits = 100

// Store reads and writes inner_audits, inner_audit_counts and inner_audit_sightings, and reads users.
type Store struct {
	client  *ent.Client
	db      *sql.DB
	timeout time.Duration
	window  time.Duration
	// userPage is how many users one query reads.
	userPage int
}

// New returns a store. Both client and db are of the platform's database.
func New(client *ent.Client, db *sql.DB, c *config.Config) *Store {
	return &Store{
		client: client, db: db, timeout: c.Database.StatementTimeout, window: c.Audit.ShrinkWindow, userPage: c.Audit.PageSize,
	}
}

// The statements of this file are raw SQL because they use the database's time, and beginAudit because it updates on conflict.
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
	return s.inTx(ctx, func(ctx context.Context, tx *ent.Tx) error {
		if _, err := tx.ExecContext(ctx, deleteExpired, s.window.Seconds()); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, beginAudit, task, mode)
		return err
	})
}

const finishAudit = `UPDATE inner_audits SET finished_at = LOCALTIMESTAMP, refusal = $2 WHERE task_id = $1`

const deleteAudits = `
DELETE FROM inner_audits WHERE task_id < $1 AND started_at < LOCALTIMESTAMP - $2::FLOAT8 * INTERVAL '1 second'`

const deleteCounts = `
DELETE FROM inner_audit_counts WHERE task_id < $1 AND created_at < LOCALTIMESTAMP - $2::FLOAT8 * INTERVAL '1 second'`

// Finish records that an audit is complete and deletes audits that are older than the window and the newest keptAudits.
func (s *Store) Finish(ctx context.Context, task int64, refusal string) error {
	return s.inTx(ctx, func(ctx context.Context, tx *ent.Tx) error {
		if _, err := tx.ExecContext(ctx, finishAudit, task, refusal); err != nil {
			return err
		}
		oldest, err := newestFirst(tx.Audit).Offset(keptAudits - 1).First(ctx)
		if ent.IsNotFound(err) {
			return nil
		}
		if err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, deleteCounts, oldest.TaskID, s.window.Seconds()); err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, deleteAudits, oldest.TaskID, s.window.Seconds())
		return err
	})
}

func newestFirst(audits *ent.AuditClient) *ent.AuditQuery {
	return audits.Query().Order(entaudit.ByTaskID(entsql.OrderDesc()))
}

// Last returns what the latest audit recorded, or admin.ErrNone.
func (s *Store) Last(ctx context.Context) (a admin.Audit, err error) {
	err = s.retry(ctx, func(ctx context.Context) error {
		last, err := newestFirst(s.client.Audit).First(ctx)
		if ent.IsNotFound(err) {
			return admin.ErrNone
		}
		if err != nil {
			return err
		}
		a = admin.Audit{
			Task: last.TaskID, Mode: last.Mode, Refusal: last.Refusal, StartedAt: last.StartedAt, FinishedAt: last.FinishedAt,
		}
		return s.addCounts(ctx, &a)
	})
	return a, err
}

// LastFinished returns when the latest audit that was completed finished: not that of the newest, which may be running or have
// failed. Before there is one it returns when the first audit began, or ErrNone.
func (s *Store) LastFinished(ctx context.Context) (at time.Time, err error) {
	err = s.retry(ctx, func(ctx context.Context) error {
		finished := s.client.Audit.Query().Where(entaudit.FinishedAtNotNil())
		last, err := finished.Order(entaudit.ByFinishedAt(entsql.OrderDesc())).First(ctx)
		if err == nil {
			at = *last.FinishedAt
			return nil
		}
		if !ent.IsNotFound(err) {
			return err
		}
		first, err := s.client.Audit.Query().Order(entaudit.ByStartedAt()).First(ctx)
		if ent.IsNotFound(err) {
			return admin.ErrNone
		}
		if err == nil {
			at = first.StartedAt
		}
		return err
	})
	return at, err
}

func (s *Store) addCounts(ctx context.Context, a *admin.Audit) error {
	counts, err := s.client.AuditCount.Query().Where(auditcount.TaskID(a.Task)).Order(auditcount.ByKind()).All(ctx)
	if err != nil {
		return err
	}
	for _, c := range counts {
		if c.Kind == UserKind {
			a.Users = c.RowCount
			continue
		}
		a.Kinds = append(a.Kinds, admin.Kind{
			Kind: c.Kind, Objects: c.Things, Rows: c.RowCount, Missing: c.Missing, Stuck: c.Stuck, Ownerless: c.Ownerless,
			Orphans: c.Orphans, Repaired: c.Repaired, Deleted: c.Deleted, Refusal: c.Refusal,
		})
	}
	return nil
}

// retry runs work within the statement timeout and retries it after serialization failures.
func (s *Store) retry(ctx context.Context, work func(ctx context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	return database.Retry(ctx, work)
}

// inTx runs work in one transaction within the statement timeout and retries it after serialization failures.
func (s *Store) inTx(ctx context.Context, work func(ctx context.Context, tx *ent.Tx) error) error {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	return database.InTx(ctx, s.client, work)
}

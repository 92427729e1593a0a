// Package store reads and writes inner_domain_checks and the columns of custom_domains that Inner uses. It holds no policy.
//
// A row of inner_domain_checks is about one row of custom_domains as it was when its checks began. When that row changes, it
// counts as another domain, and the checks and objects of the old one are removed first. All times are those of the database's
// clock. The result of a check is written only by the process that has claimed the domain.
//
// All statements are raw SQL. They take batches, join the two tables, or use the database's time; the few that do none of
// this are written like the others, since Ent would make them longer.
package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"app238.com/inner/app/config"
	"app238.com/inner/app/database"
	"app238.com/inner/modules/domains/internal/lifecycle"
	"app238.com/inner/modules/domains/internal/validate"
)

// ErrNotFound is returned for an unknown domain.
var ErrNotFound = errors.New("no such domain")

// Store is the repository of custom domains and their checks.
type Store struct {
	db      *sql.DB
	timeout time.Duration
	lease   time.Duration
}

// New returns a store on db.
func New(db *sql.DB, c *config.Config) *Store {
	return &Store{db: db, timeout: c.Database.StatementTimeout, lease: Lease(c)}
}

// Entry is a new domain and the result of its validation.
type Entry struct {
	// ID is custom_domains.id, Name that of the domain's objects.
	ID     int64
	Name   string
	Row    validate.Row
	Result validate.Result
}

// Claimed is a domain that this process has claimed for a check.
type Claimed struct {
	CDID, Name, UserUID string
	// Number is the number of the claim. A later claim of the domain makes it void.
	Number int64
	Claim  validate.Claim
	State  lifecycle.State
	// Now is the time of the claim, by the database's clock.
	Now time.Time
}

// same reports whether a row c of custom_domains is unchanged since its checks s began.
const same = `(c.id = s.row_id AND c.user_uid = s.user_uid AND c.domain = s.domain AND c.target = s.target
    AND c.txt_name = s.txt_name AND c.txt_value = s.txt_value)`

// read returns every row of a query as scan reads it. After a serialization failure, which may occur after the first rows, it
// starts over, and returns no row twice.
func read[T any](ctx context.Context, s *Store, query string, args []any, scan func(*sql.Rows, *T) error) (all []T, err error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	err = database.Retry(ctx, func(ctx context.Context) error {
		all, err = readOnce(ctx, s.db, query, args, scan)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("custom domains: %w", err)
	}
	return all, nil
}

func readOnce[T any](ctx context.Context, db *sql.DB, query string, args []any, scan func(*sql.Rows, *T) error) ([]T, error) {
	rows, err := db.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	var all []T
	for rows.Next() {
		var one T
		if err := scan(rows, &one); err != nil {
			return nil, err
		}
		all = append(all, one)
	}
	return all, rows.Err()
}

// readRow reads the only row of a query.
func (s *Store) readRow(ctx context.Context, query string, args []any, into ...any) error {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	err := database.Retry(ctx, func(ctx context.Context) error { return s.db.QueryRowContext(ctx, query, args...).Scan(into...) })
	if err != nil {
		return fmt.Errorf("custom domains: %w", err)
	}
	return nil
}

// exec runs one statement, retries it after serialization failures, and returns the number of changed rows.
func (s *Store) exec(ctx context.Context, query string, args ...any) (int64, error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	var n int64
	err := database.Retry(ctx, func(ctx context.Context) error {
		result, err := s.db.ExecContext(ctx, query, args...)
		if err != nil {
			return err
		}
		n, err = result.RowsAffected()
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("custom domains: %w", err)
	}
	return n, nil
}

// inTx runs work in one transaction and retries it after serialization failures.
func (s *Store) inTx(ctx context.Context, work func(ctx context.Context, tx *sql.Tx) error) error {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	return database.Retry(ctx, func(ctx context.Context) error {
		tx, err := s.db.BeginTx(ctx, nil)
		if err != nil {
			return fmt.Errorf("custom domains: %w", err)
		}
		defer func() { _ = tx.Rollback() }()
		if err := work(ctx, tx); err != nil {
			return err
		}
		if err := tx.Commit(); err != nil {
			return fmt.Errorf("custom domains: %w", err)
		}
		return nil
	})
}

// formatTime formats a time for a statement; the zero time is "".
func formatTime(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02 15:04:05.000000")
}

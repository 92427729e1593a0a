// Package store is inner_domain_checks in SQL, and what Inner reads and writes of custom_domains. It holds no policy.
//
// A row of inner_domain_checks is about one row of custom_domains as it was when its checks began. When that row changes,
// it is another domain: what belongs to the old one goes first. Only the database's clock counts, and a check is written
// only by the one who has claimed it.
package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"app238.com/inner/app/config"
	"app238.com/inner/app/database"
	"app238.com/inner/modules/domains/internal/life"
	"app238.com/inner/modules/domains/internal/rules"
)

// ErrNotFound says that there is no such domain.
var ErrNotFound = errors.New("no such domain")

// Store reads and writes.
type Store struct {
	db      *sql.DB
	timeout time.Duration
	lease   time.Duration
}

// New returns a store on db.
func New(db *sql.DB, c *config.Config) *Store {
	return &Store{db: db, timeout: c.Database.StatementTimeout, lease: Lease(c)}
}

// Entry is a domain that is yet unknown to Inner, judged by the rules.
type Entry struct {
	// ID is custom_domains.id, Name that of the domain's objects.
	ID   int64
	Name string
	Row  rules.Row
	// Verdict is the rules'.
	Verdict rules.Verdict
}

// Claimed is a domain that this process alone may check for now.
type Claimed struct {
	CDID, Name, UserUID string
	// Number of the claim; a later one makes it void.
	Number int64
	Claim  rules.Claim
	State  life.State
	// Now is the time of the claim, by the database's clock.
	Now time.Time
}

// same compares a row c of custom_domains with what it was when the checks s of it began.
const same = `(c.id = s.row_id AND c.user_uid = s.user_uid AND c.domain = s.domain AND c.target = s.target
    AND c.txt_name = s.txt_name AND c.txt_value = s.txt_value)`

// read returns what scan reads of every row of a query, none twice: a serialization failure, which may come after the first of
// them, has it begin anew.
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

// readRow reads the one row of a query.
func (s *Store) readRow(ctx context.Context, query string, args []any, into ...any) error {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	err := database.Retry(ctx, func(ctx context.Context) error { return s.db.QueryRowContext(ctx, query, args...).Scan(into...) })
	if err != nil {
		return fmt.Errorf("custom domains: %w", err)
	}
	return nil
}

// exec runs one statement, again after serialization failures, and returns the rows it changed.
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

// inTx runs work in one transaction, again from its start after serialization failures.
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

// timeText writes a time for a statement; the zero time is no time.
func timeText(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02 15:04:05.000000")
}

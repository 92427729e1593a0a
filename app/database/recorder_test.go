package database_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"app238.com/inner/app/database"
	"app238.com/inner/test/testdatabase"
)

// recorder is a connector that records the statements and transactions of its connections.
type recorder struct {
	driver.Connector
	// fail says which statements are not sent, as if the connection had ended; nil for none.
	fail func(query string) bool
	mu   sync.Mutex
	sent []string
}

var errCut = errors.New("the connection was cut")

// Connect opens a connection.
func (r *recorder) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := r.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	whole, ok := conn.(recordable)
	if !ok {
		return nil, errors.Join(errors.New("the connection lacks a method"), conn.Close())
	}
	return recorded{whole, r}, nil
}

func (r *recorder) record(text string) error {
	r.mu.Lock()
	r.sent = append(r.sent, text)
	r.mu.Unlock()
	if r.fail != nil && r.fail(text) {
		return errCut
	}
	return nil
}

// count returns how many statements contain the words.
func (r *recorder) count(words string) (n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, statement := range r.sent {
		if strings.Contains(statement, words) {
			n++
		}
	}
	return n
}

type recordable interface {
	driver.Conn
	driver.ConnBeginTx
	driver.ExecerContext
	driver.QueryerContext
	driver.Validator
}

type recorded struct {
	recordable
	to *recorder
}

// BeginTx records, then begins.
func (r recorded) BeginTx(ctx context.Context, opts driver.TxOptions) (driver.Tx, error) {
	if err := r.to.record("BEGIN"); err != nil {
		return nil, err
	}
	return r.recordable.BeginTx(ctx, opts)
}

// ExecContext records, then executes.
func (r recorded) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	if err := r.to.record(query); err != nil {
		return nil, err
	}
	return r.recordable.ExecContext(ctx, query, args)
}

// QueryContext records, then queries.
func (r recorded) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	if err := r.to.record(query); err != nil {
		return nil, err
	}
	return r.recordable.QueryContext(ctx, query, args)
}

func record(t *testing.T, db *testdatabase.Database) (*sql.DB, *recorder) {
	t.Helper()
	connector, err := database.Connector(db.Config)
	require.NoError(t, err)
	r := &recorder{Connector: testdatabase.Checked(t, connector)}
	pool := database.Pool(r, db.Config)
	t.Cleanup(func() { _ = pool.Close() })
	return pool, r
}

package testdatabase

import (
	"context"
	"database/sql/driver"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"app238.com/inner/test/cockroach/typecheck"
)

// checker checks statements against the platform's tables. It is shared, so that each statement is checked once per process.
var checker = sync.OnceValues(func() (*typecheck.Checker, error) {
	folder, err := scripts()
	if err != nil {
		return nil, err
	}
	var texts []string
	for _, name := range []string{"outer.sql", "inner.sql"} {
		text, err := os.ReadFile(filepath.Join(folder, name))
		if err != nil {
			return nil, err
		}
		texts = append(texts, string(text))
	}
	return typecheck.New(texts...)
})

// scripts returns the folder of the table definitions, found upwards from the test's folder.
func scripts() (string, error) {
	at, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		folder := filepath.Join(at, "app", "database")
		if _, err := os.Stat(filepath.Join(folder, "inner.sql")); err == nil {
			return folder, nil
		}
		if at == filepath.Dir(at) {
			return "", errors.New("the test does not run inside the project")
		}
		at = filepath.Dir(at)
	}
}

// checked is a connector that checks every statement as CockroachDB does; a refused one fails the test.
type checked struct {
	driver.Connector
	t       testing.TB
	checker *typecheck.Checker
}

// Checked parses every statement of a connector with CockroachDB's parser and checks its expressions with its type checker,
// except those for PostgreSQL only. Objects that the statements create are known to this connector alone.
func Checked(t testing.TB, c driver.Connector) driver.Connector {
	t.Helper()
	return checked{Connector: c, t: t, checker: child(t)}
}

// Check returns an error for a statement that CockroachDB refuses.
func Check(t testing.TB, query string) error {
	t.Helper()
	return child(t).Check(query)
}

func child(t testing.TB) *typecheck.Checker {
	t.Helper()
	known, err := checker()
	if err != nil {
		t.Fatalf("CockroachDB's checker: %v", err)
	}
	return known.Child()
}

// Connect opens a connection.
func (c checked) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := c.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	full, ok := conn.(fullConn)
	if !ok {
		return nil, errors.Join(errors.New("the driver's connection lacks a method"), conn.Close())
	}
	return &checkedConn{fullConn: full, checked: c}, nil
}

// fullConn has the optional interfaces of a connection that database/sql uses.
type fullConn interface {
	driver.Conn
	driver.ConnBeginTx
	driver.ConnPrepareContext
	driver.ExecerContext
	driver.NamedValueChecker
	driver.Pinger
	driver.QueryerContext
	driver.SessionResetter
	driver.Validator
}

type checkedConn struct {
	fullConn
	checked checked
}

// ExecContext checks, then executes.
func (c *checkedConn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	c.checked.check(query)
	return c.fullConn.ExecContext(ctx, query, args)
}

// QueryContext checks, then queries.
func (c *checkedConn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	c.checked.check(query)
	return c.fullConn.QueryContext(ctx, query, args)
}

// PrepareContext checks, then prepares.
func (c *checkedConn) PrepareContext(ctx context.Context, query string) (driver.Stmt, error) {
	c.checked.check(query)
	return c.fullConn.PrepareContext(ctx, query)
}

func (c checked) check(query string) {
	if _, alone := typecheck.PostgreSQLAlone(query); alone {
		return
	}
	if err := c.checker.Check(query); err != nil {
		c.t.Errorf("CockroachDB does not take this statement: %v\n%s", err, query)
	}
}

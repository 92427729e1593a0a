package testdatabase

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/cockroachdb/cockroachdb-parser/pkg/sql/parser"
)

// checked is a connector whose connections have every statement parsed by CockroachDB's parser; one that it does not
// take fails the test.
type checked struct {
	driver.Connector
	t      testing.TB
	except []string
}

// Checked has every statement of a connector's connections parsed by CockroachDB's parser. Statements that hold one of the
// exceptions, which the product does not send to a CockroachDB, are not.
func Checked(t testing.TB, c driver.Connector, except ...string) driver.Connector {
	t.Helper()
	return checked{Connector: c, t: t, except: except}
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
	return &checkedConn{fullConn: full, t: c.t, except: c.except}, nil
}

// fullConn is what database/sql asks of a connection beside the least.
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
	t      testing.TB
	except []string
	mu     sync.Mutex
	seen   map[string]bool
}

// ExecContext parses, then executes.
func (c *checkedConn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	c.check(query)
	return c.fullConn.ExecContext(ctx, query, args)
}

// QueryContext parses, then queries.
func (c *checkedConn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	c.check(query)
	return c.fullConn.QueryContext(ctx, query, args)
}

// PrepareContext parses, then prepares.
func (c *checkedConn) PrepareContext(ctx context.Context, query string) (driver.Stmt, error) {
	c.check(query)
	return c.fullConn.PrepareContext(ctx, query)
}

func (c *checkedConn) check(query string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.seen[query] || slices.ContainsFunc(c.except, func(text string) bool { return strings.Contains(query, text) }) {
		return
	}
	if c.seen == nil {
		c.seen = map[string]bool{}
	}
	c.seen[query] = true
	if err := Parse(query); err != nil {
		c.t.Errorf("CockroachDB does not take this statement: %v\n%s", err, query)
	}
}

// Parse tells what CockroachDB's parser says of a statement. A panic of the parser is an error.
func Parse(query string) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("parser panicked: %v", p)
		}
	}()
	_, err = parser.Parse(query)
	return err
}

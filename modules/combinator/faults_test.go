package combinator_test

import (
	"context"
	"database/sql/driver"
	"errors"
	"sync"

	"github.com/cockroachdb/cockroachdb-parser/pkg/sql/parser"
	"github.com/stretchr/testify/require"

	"app238.com/inner/modules/combinator/internal/jobs"
)

// faults breaks connections at a chosen statement, before it is sent or after it was carried out, as a killed process or a
// lost network does.
type faults struct {
	mu    sync.Mutex
	count int
	at    int // 0: never
	after bool
	// each makes every statement of a text a text and a transaction of its own, as on CockroachDB.
	each bool
}

var errBroken = errors.New("connection broken by the test")

// breakAt makes the n-th statement from now on fail, counted from 1.
func (f *faults) breakAt(n int, after bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.count, f.at, f.after = 0, n, after
}

func (f *faults) off() { f.breakAt(0, false) }

// hit reports whether the chosen statement was reached.
func (f *faults) hit() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.at > 0 && f.count >= f.at
}

// next counts a statement and tells whether it is to fail, before or after it is carried out. From then on every statement
// fails, as in a dead process.
func (f *faults) next() (before, after bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.count++
	if f.at == 0 || f.count < f.at {
		return false, false
	}
	return f.count > f.at || !f.after, f.count == f.at && f.after
}

func (f *faults) connector(c driver.Connector) driver.Connector { return faultyConnector{c, f} }

type faultyConnector struct {
	driver.Connector
	faults *faults
}

func (c faultyConnector) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := c.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	full, ok := conn.(fullConn)
	if !ok {
		return nil, errors.Join(errors.New("the driver's connection lacks a method"), conn.Close())
	}
	return &faultyConn{full, c.faults}, nil
}

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

type faultyConn struct {
	fullConn
	faults *faults
}

func (c *faultyConn) BeginTx(ctx context.Context, opts driver.TxOptions) (driver.Tx, error) {
	before, after := c.faults.next()
	if before {
		return nil, errBroken
	}
	tx, err := c.fullConn.BeginTx(ctx, opts)
	if err != nil {
		return nil, err
	}
	if after {
		return nil, errors.Join(errBroken, tx.Rollback())
	}
	return &faultyTx{tx, c.faults}, nil
}

func (c *faultyConn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (result driver.Result, err error) {
	for _, statement := range c.statements(query) {
		if result, err = c.execute(ctx, statement, args); err != nil {
			return nil, err
		}
	}
	return result, nil
}

// statements returns the statements as which a text is sent.
func (c *faultyConn) statements(text string) []string {
	parsed, err := parser.Parse(text)
	if !c.faults.each || err != nil || len(parsed) == 0 {
		return []string{text}
	}
	all := make([]string, len(parsed))
	for i, one := range parsed {
		all[i] = one.SQL
	}
	return all
}

func (c *faultyConn) execute(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	before, after := c.faults.next()
	if before {
		return nil, errBroken
	}
	result, err := c.fullConn.ExecContext(ctx, query, args)
	if after {
		return nil, errBroken
	}
	return result, err
}

func (c *faultyConn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	if before, after := c.faults.next(); before || after {
		return nil, errBroken
	}
	return c.fullConn.QueryContext(ctx, query, args)
}

type faultyTx struct {
	driver.Tx
	faults *faults
}

func (t *faultyTx) Commit() error {
	before, after := t.faults.next()
	if before {
		return errors.Join(errBroken, t.Rollback())
	}
	err := t.Tx.Commit()
	if after {
		return errBroken
	}
	return err
}

// addNeighbour creates another user, u2, with a schema r and a table, and returns a check that they are unchanged.
func (b *bundle) addNeighbour() (checkNeighbour func()) {
	b.t.Helper()
	b.user("u2", "sk_two")
	b.resource("u2", "r", "rdb")
	require.NoError(b.t, b.run(jobs.CreateRDBType, ref("u2", "r")))
	db := b.login("u2", "sk_two")
	_, err := db.Exec(`CREATE TABLE ` + b.schema("u2", "r") + `.t (v TEXT); INSERT INTO ` + b.schema("u2", "r") +
		`.t VALUES ('kept')`)
	require.NoError(b.t, err)
	return func() {
		b.t.Helper()
		require.Equal(b.t, []string{"kept"}, column(b.t, db, `SELECT v FROM `+b.schema("u2", "r")+`.t`))
	}
}

package database

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"fmt"

	"app238.com/inner/app/config"
)

// steadyConnections bounds a Steady's pool: its users are few, and each waits for one statement at a time.
const preparedConnections = 4

// steadySession has PostgreSQL plan a prepared statement once, and by index whatever the statistics say: they are those
// of an empty table when the plan is made, and of a full one an hour later. CockroachDB has its own ways and is let be.
const preparedSession = `SELECT set_config(s.name, s.value, false) FROM (VALUES
    ('jit', 'off'), ('plan_cache_mode', 'force_generic_plan'), ('enable_seqscan', 'off'), ('enable_bitmapscan', 'off'),
    ('enable_sort', 'off'), ('enable_hashjoin', 'off'), ('enable_mergejoin', 'off')) AS s(name, value)
WHERE version() LIKE 'PostgreSQL%'`

// Steady is a small pool of its own for the few constant statements that are sent over and over. They are prepared once
// a connection, which spares their planning each time, and no other work of this process can keep them waiting. Every different
// text is kept: it must be a constant.
type PreparedPool struct{ db *sql.DB }

// OpenSteady returns a pool on the configured database. It does not connect.
func OpenPreparedPool(c *config.Config) (*PreparedPool, error) {
	connector, err := Connector(c)
	if err != nil {
		return nil, err
	}
	return NewPreparedPool(connector, c), nil
}

// NewSteady returns a pool of connections of connector.
func NewPreparedPool(connector driver.Connector, c *config.Config) *PreparedPool {
	db := openPool(preparing{PreparedConnector{connector}}, preparedConnections, preparedConnections)
	db.SetConnMaxLifetime(c.Database.MaxConnectionLifetime)
	return &PreparedPool{db}
}

// Close closes all connections.
func (s *PreparedPool) Close() error { return s.db.Close() }

// QueryContext runs a statement.
func (s *PreparedPool) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	return s.db.QueryContext(ctx, query, args...)
}

// ExecContext runs a statement that returns no rows.
func (s *PreparedPool) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	return s.db.ExecContext(ctx, query, args...)
}

// InTx runs work in a transaction and commits it. Its statements are prepared, as those outside of it are.
func (s *PreparedPool) InTx(ctx context.Context, work func(tx *sql.Tx) error) error {
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	// After a commit this does nothing; where it fails the pool drops the connection.
	defer func() { _ = tx.Rollback() }()
	if err := work(tx); err != nil {
		return err
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	return nil
}

// SteadyConnector opens connections whose sessions have the settings of a Steady.
type PreparedConnector struct{ driver.Connector }

// Connect opens a connection.
func (c PreparedConnector) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := c.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	session, ok := conn.(driver.ExecerContext)
	if !ok {
		_ = conn.Close()
		return nil, &connectError{errNoMethod}
	}
	if _, err := session.ExecContext(ctx, preparedSession, nil); err != nil {
		_ = conn.Close()
		return nil, &connectError{fmt.Errorf("session settings: %w", err)}
	}
	return conn, nil
}

// preparing opens connections that prepare each statement once. The pool's own prepared statements would not do: one that is new
// within a transaction would need a second connection, which may not be had.
type preparing struct{ driver.Connector }

// Connect opens a connection.
func (c preparing) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := c.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	whole, ok := conn.(wholeConn)
	if !ok {
		_ = conn.Close()
		return nil, &connectError{errNoMethod}
	}
	return &preparedConn{wholeConn: whole, statements: map[string]wholeStmt{}}, nil
}

// preparedConn is one of those, with its statements by their texts. It has one user at a time.
type preparedConn struct {
	wholeConn
	statements map[string]wholeStmt
}

// QueryContext implements driver.QueryerContext.
func (c *preparedConn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	statement, err := c.statement(ctx, query)
	if err != nil {
		return nil, err
	}
	return statement.QueryContext(ctx, args)
}

// ExecContext implements driver.ExecerContext.
func (c *preparedConn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	statement, err := c.statement(ctx, query)
	if err != nil {
		return nil, err
	}
	return statement.ExecContext(ctx, args)
}

func (c *preparedConn) statement(ctx context.Context, query string) (wholeStmt, error) {
	if known, ok := c.statements[query]; ok {
		return known, nil
	}
	made, err := c.PrepareContext(ctx, query)
	if err != nil {
		return nil, err
	}
	whole, ok := made.(wholeStmt)
	if !ok {
		_ = made.Close()
		return nil, errNoMethod
	}
	c.statements[query] = whole
	return whole, nil
}

package database

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"fmt"

	"app238.com/inner/app/config"
)

// preparedConnections is the size of a PreparedPool: accepts and results have up to three statements under way each, the four
// other users one. Usually each has one.
const preparedConnections = 10

// preparedSession makes PostgreSQL plan a prepared statement once, with indexes whatever the statistics say: they are those
// of an empty table when the plan is made, and of a full one an hour later. It sets nothing on CockroachDB.
const preparedSession = `SELECT set_config(s.name, s.value, false) FROM (VALUES
    ('jit', 'off'), ('plan_cache_mode', 'force_generic_plan'), ('enable_seqscan', 'off'), ('enable_bitmapscan', 'off'),
    ('enable_sort', 'off'), ('enable_hashjoin', 'off'), ('enable_mergejoin', 'off')) AS s(name, value)
WHERE version() LIKE 'PostgreSQL%'`

// PreparedPool is a small separate pool for a few constant statements that run all the time. They are prepared once per
// connection, which saves their planning, and no other work of this process delays them. Every distinct text stays prepared: it
// must be a constant.
type PreparedPool struct{ db *sql.DB }

// OpenPreparedPool returns a pool on the configured database. It does not connect.
func OpenPreparedPool(c *config.Config) (*PreparedPool, error) {
	connector, err := Connector(c)
	if err != nil {
		return nil, err
	}
	return NewPreparedPool(connector, c), nil
}

// NewPreparedPool returns a pool of connector's connections.
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

// InTx runs work in a transaction, with prepared statements, and commits it.
func (s *PreparedPool) InTx(ctx context.Context, work func(tx *sql.Tx) error) error {
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	// No-op after a commit; if it fails the pool drops the connection.
	defer func() { _ = tx.Rollback() }()
	if err := work(tx); err != nil {
		return err
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	return nil
}

// PreparedConnector opens connections with the session parameters of a PreparedPool.
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
		return nil, &connectError{errDriverMethod}
	}
	if _, err := session.ExecContext(ctx, preparedSession, nil); err != nil {
		_ = conn.Close()
		return nil, &connectError{fmt.Errorf("session settings: %w", err)}
	}
	return conn, nil
}

// preparing opens connections that prepare each statement once. Prepared statements of sql.DB would not do: a new one within a
// transaction needs a second connection, which may not be available.
type preparing struct{ driver.Connector }

// Connect opens a connection.
func (c preparing) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := c.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	whole, ok := conn.(sqlConn)
	if !ok {
		_ = conn.Close()
		return nil, &connectError{errDriverMethod}
	}
	return &preparedConn{sqlConn: whole, statements: map[string]sqlStmt{}}, nil
}

// preparedConn is a connection with its prepared statements by text. It has one user at a time.
type preparedConn struct {
	sqlConn
	statements map[string]sqlStmt
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

func (c *preparedConn) statement(ctx context.Context, query string) (sqlStmt, error) {
	if prepared, ok := c.statements[query]; ok {
		return prepared, nil
	}
	made, err := c.PrepareContext(ctx, query)
	if err != nil {
		return nil, err
	}
	whole, ok := made.(sqlStmt)
	if !ok {
		_ = made.Close()
		return nil, errDriverMethod
	}
	c.statements[query] = whole
	return whole, nil
}

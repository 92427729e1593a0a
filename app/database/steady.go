package database

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"sync"

	"app238.com/inner/app/config"
)

// steadyConnections bounds a Steady's pool: its users are few, and each waits for one statement at a time.
const steadyConnections = 4

// steadySession has PostgreSQL plan a prepared statement once, and by index whatever the statistics say: they are those
// of an empty table when the plan is made, and of a full one an hour later. CockroachDB has its own ways and is let be.
const steadySession = `SELECT set_config(s.name, s.value, false) FROM (VALUES
    ('jit', 'off'), ('plan_cache_mode', 'force_generic_plan'), ('enable_seqscan', 'off'), ('enable_bitmapscan', 'off'),
    ('enable_sort', 'off'), ('enable_hashjoin', 'off'), ('enable_mergejoin', 'off')) AS s(name, value)
WHERE version() LIKE 'PostgreSQL%'`

// Steady is a small pool of its own for the few constant statements that are sent over and over. They are prepared once
// a connection, which spares their planning each time, and no other work of this process can keep them waiting.
type Steady struct {
	Prepared
	db *sql.DB

	mu       sync.Mutex
	prepared map[string]*sql.Stmt
}

// OpenSteady returns a pool on the configured database. It does not connect.
func OpenSteady(c *config.Config) (*Steady, error) {
	connector, err := Connector(c)
	if err != nil {
		return nil, err
	}
	return NewSteady(connector, c), nil
}

// NewSteady returns a pool of connections of connector.
func NewSteady(connector driver.Connector, c *config.Config) *Steady {
	db := openPool(SteadyConnector{connector}, steadyConnections, steadyConnections)
	db.SetConnMaxLifetime(c.Database.MaxConnectionLifetime)
	s := &Steady{db: db, prepared: map[string]*sql.Stmt{}}
	s.Prepared = Prepared{s.prepare}
	return s
}

// Close closes all connections.
func (s *Steady) Close() error { return s.db.Close() }

// Prepared runs statements that are prepared once a connection. Every different text is kept: it must be a constant.
type Prepared struct {
	statement func(ctx context.Context, query string) (*sql.Stmt, error)
}

// QueryContext runs a statement.
func (p Prepared) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	statement, err := p.statement(ctx, query)
	if err != nil {
		return nil, err
	}
	return statement.QueryContext(ctx, args...)
}

// ExecContext runs a statement that returns no rows.
func (p Prepared) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	statement, err := p.statement(ctx, query)
	if err != nil {
		return nil, err
	}
	return statement.ExecContext(ctx, args...)
}

// InTx runs work in a transaction and commits it. Its statements are prepared, as those outside of it are.
func (s *Steady) InTx(ctx context.Context, work func(tx Prepared) error) error {
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	// After a commit this does nothing; where it fails the pool drops the connection.
	defer func() { _ = tx.Rollback() }()
	within := Prepared{func(ctx context.Context, query string) (*sql.Stmt, error) {
		statement, err := s.prepare(ctx, query)
		if err != nil {
			return nil, err
		}
		return tx.StmtContext(ctx, statement), nil
	}}
	if err := work(within); err != nil {
		return err
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	return nil
}

func (s *Steady) prepare(ctx context.Context, query string) (*sql.Stmt, error) {
	s.mu.Lock()
	known, ok := s.prepared[query]
	s.mu.Unlock()
	if ok {
		return known, nil
	}
	// Not under the lock: a database that is away keeps this waiting.
	made, err := s.db.PrepareContext(ctx, query)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if known, ok := s.prepared[query]; ok {
		return known, made.Close()
	}
	s.prepared[query] = made
	return made, nil
}

// SteadyConnector opens connections whose sessions have the settings of a Steady.
type SteadyConnector struct{ driver.Connector }

// Connect opens a connection.
func (c SteadyConnector) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := c.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	session, ok := conn.(driver.ExecerContext)
	if !ok {
		return nil, errors.Join(errors.New("the driver's connection cannot execute"), conn.Close())
	}
	if _, err := session.ExecContext(ctx, steadySession, nil); err != nil {
		return nil, errors.Join(fmt.Errorf("session settings: %w", err), conn.Close())
	}
	return conn, nil
}

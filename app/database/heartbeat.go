package database

import (
	"context"
	"database/sql"
	"database/sql/driver"

	"app238.com/inner/app/config"
)

// heartbeatName is the application_name of the connection for heartbeats.
const heartbeatName = "inner-gateway-heartbeat"

// codeOutOfTime is the SQLSTATE of a statement that took longer than the server's limit.
const codeOutOfTime = "57014"

// Heartbeat is a connection of its own for the heartbeats of this process. No other work can keep them waiting, a server
// that does not answer is given up after a fraction of the lease, and after a failure the next one has a new connection.
type Heartbeat struct{ db *sql.DB }

// OpenHeartbeat returns the connection to the configured database. It does not connect.
func OpenHeartbeat(c *config.Config) (*Heartbeat, error) {
	connector, err := HeartbeatConnector(c)
	if err != nil {
		return nil, err
	}
	return NewHeartbeat(connector), nil
}

// HeartbeatConnector returns what opens the connection of OpenHeartbeat.
func HeartbeatConnector(c *config.Config) (driver.Connector, error) {
	limit := c.Tasks.HeartbeatTimeout()
	d := c.Database
	d.ConnectTimeout = min(d.ConnectTimeout, limit)
	d.StatementTimeout = min(d.StatementTimeout, limit*3/4) // the server's own refusal is to come first
	dsn, err := withSettings(d)
	if err != nil {
		return nil, err
	}
	if dsn, err = addSettings("database.dsn", dsn, "", []setting{{"application_name", heartbeatName}}); err != nil {
		return nil, err
	}
	return connect("database.dsn", dsn, limit)
}

// NewHeartbeat returns a Heartbeat whose connections connector opens.
func NewHeartbeat(connector driver.Connector) *Heartbeat {
	db := sql.OpenDB(connector)
	db.SetMaxOpenConns(1)
	return &Heartbeat{db: db}
}

// Close closes the connection.
func (h *Heartbeat) Close() error { return h.db.Close() }

// Exec runs one statement and returns the number of rows that it changed. After an error it may have been carried out.
func (h *Heartbeat) Exec(ctx context.Context, query string, args ...any) (int64, error) {
	conn, err := h.db.Conn(ctx)
	if err != nil {
		return 0, err
	}
	defer func() { _ = conn.Close() }()
	result, err := conn.ExecContext(ctx, query, args...)
	if err != nil && code(err) != codeOutOfTime { // a server that was slow is not to be burdened with a new session too
		_ = conn.Raw(func(any) error { return driver.ErrBadConn }) // has it closed
	}
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

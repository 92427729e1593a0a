package database

import (
	"context"
	"database/sql"
	"database/sql/driver"

	"app238.com/inner/app/config"
)

// heartbeatName is the application_name of the connection for heartbeats.
const heartbeatName = "inner-gateway-heartbeat"

// codeQueryCanceled is the SQLSTATE of a statement that exceeded statement_timeout.
const codeQueryCanceled = "57014"

// Heartbeat is a separate connection for the heartbeats of this process, so that no other work delays them. The connection of
// a silent server is closed after a fraction of the lease; after a failure the next heartbeat uses a new connection.
type Heartbeat struct{ db *sql.DB }

// OpenHeartbeat returns the connection to the configured database. It does not connect.
func OpenHeartbeat(c *config.Config) (*Heartbeat, error) {
	connector, err := HeartbeatConnector(c)
	if err != nil {
		return nil, err
	}
	return NewHeartbeat(connector), nil
}

// HeartbeatConnector returns the connector of OpenHeartbeat.
func HeartbeatConnector(c *config.Config) (driver.Connector, error) {
	limit := c.Tasks.HeartbeatTimeout()
	d := c.Database
	d.ConnectTimeout = min(d.ConnectTimeout, limit)
	d.StatementTimeout = min(d.StatementTimeout, limit*3/4) // so that the server's timeout comes first
	dsn, err := withSettings(d)
	if err != nil {
		return nil, err
	}
	if dsn, err = addSettings("database.dsn", dsn, "", []setting{{"application_name", heartbeatName}}); err != nil {
		return nil, err
	}
	return connect("database.dsn", dsn, limit)
}

// NewHeartbeat returns a Heartbeat that uses connector.
func NewHeartbeat(connector driver.Connector) *Heartbeat {
	db := sql.OpenDB(connector)
	db.SetMaxOpenConns(1)
	return &Heartbeat{db: db}
}

// Close closes the connection.
func (h *Heartbeat) Close() error { return h.db.Close() }

// Exec runs one statement and returns the number of changed rows. After an error it may have been executed.
func (h *Heartbeat) Exec(ctx context.Context, query string, args ...any) (int64, error) {
	conn, err := h.db.Conn(ctx)
	if err != nil {
		return 0, err
	}
	defer func() { _ = conn.Close() }()
	result, err := conn.ExecContext(ctx, query, args...)
	if err != nil && code(err) != codeQueryCanceled { // a slow server keeps its session
		_ = conn.Raw(func(any) error { return driver.ErrBadConn }) // closes the connection
	}
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

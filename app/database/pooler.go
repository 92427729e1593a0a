package database

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"strings"
)

// ErrPooled says that a DSN leads through a pooler which gives each transaction another session. Inner's sessions have
// settings and prepared statements of their own, which such a pooler loses, or gives to others.
var ErrPooled = errors.New("is behind a pooler in transaction or statement mode, and Inner needs sessions of its own: " +
	"set PgBouncer's pool_mode to session for this database, or have database.dsn name the server itself")

// pooledRounds is how often two connections are compared: a pooler that hands out its sessions in turn may do well once.
const pooledRounds = 3

// backend asks for the number of the session's process.
const backend = `SELECT CAST(CASE WHEN version() LIKE 'PostgreSQL%' THEN pg_backend_pid() ELSE 0 END AS BIGINT)`

// RequireSessions returns ErrPooled where two connections of connector that are open at the same time share a session of
// the server, or one of them changes between two. CockroachDB's own sessions have no such number and are not looked at.
func RequireSessions(ctx context.Context, connector driver.Connector) error {
	var open [2]driver.Conn
	for i := range open {
		conn, err := connector.Connect(ctx)
		if err != nil {
			return asPooled(err)
		}
		defer func() { _ = conn.Close() }()
		open[i] = conn
	}
	var known [len(open)]int64
	for range pooledRounds {
		for i, conn := range open {
			pid, err := backendOf(ctx, conn)
			if err != nil {
				return asPooled(err)
			}
			if pid != 0 && (pid == known[1-i] || known[i] != 0 && pid != known[i]) {
				return ErrPooled
			}
			known[i] = pid
		}
	}
	return nil
}

// asPooled knows PgBouncer's refusal of several statements in one transaction when it pools statements.
func asPooled(err error) error {
	if strings.Contains(err.Error(), "not allowed in statement pooling mode") {
		return ErrPooled
	}
	return err
}

func backendOf(ctx context.Context, conn driver.Conn) (pid int64, err error) {
	queryer, ok := conn.(driver.QueryerContext)
	if !ok {
		return 0, errors.New("the driver's connection cannot query")
	}
	rows, err := queryer.QueryContext(ctx, backend, nil)
	if err != nil {
		return 0, fmt.Errorf("ask for the session's process: %w", err)
	}
	value := make([]driver.Value, len(rows.Columns()))
	if err := errors.Join(rows.Next(value), rows.Close()); err != nil {
		return 0, fmt.Errorf("ask for the session's process: %w", err)
	}
	if len(value) == 1 {
		pid, ok = value[0].(int64)
	}
	if !ok {
		return 0, errors.New("the session's process is not a number")
	}
	return pid, nil
}

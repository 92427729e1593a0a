package database

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"app238.com/inner/app/database/internal/schema"
)

// pg_catalog shows tables on which one has no right too; information_schema does not, and nobody gave us one on all of
// Outer's. None of these statements locks a table of ours.
const (
	serverKind = `SELECT version() LIKE 'PostgreSQL%'`

	findColumns = `
SELECT c.relname, COALESCE(a.attname, '')
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
LEFT JOIN pg_catalog.pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
WHERE n.nspname = current_schema() AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
ORDER BY c.relname, a.attnum`

	findIndexes = `
SELECT i.relname, c.relname, x.indisvalid
FROM pg_catalog.pg_index AS x
JOIN pg_catalog.pg_class AS i ON i.oid = x.indexrelid
JOIN pg_catalog.pg_class AS c ON c.oid = x.indrelid
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname = current_schema()
ORDER BY c.relname, i.relname`

	findHolders = `
SELECT a.pid, a.application_name
FROM pg_catalog.pg_locks AS l
JOIN pg_catalog.pg_class AS c ON c.oid = l.relation
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_stat_activity AS a ON a.pid = l.pid
WHERE c.relname = $1 AND n.nspname = current_schema() AND l.granted AND a.pid <> pg_backend_pid()
ORDER BY a.xact_start LIMIT 3`

	// Two constants that nothing else in the database uses.
	tryMigrationLock = `SELECT pg_try_advisory_lock(22385, 13)`
)

// missing reads the catalogue and says what it lacks.
func (r *migrationRun) missing(ctx context.Context) ([]schema.Step, error) {
	defer r.guarded()()
	have := &schema.Catalogue{Columns: map[string][]string{}}
	if err := r.conn.QueryRowContext(ctx, serverKind).Scan(&have.Postgres); err != nil {
		return nil, err
	}
	r.postgres = have.Postgres
	err := each(ctx, r.conn, findColumns, func(rows *sql.Rows) error {
		var table, column string
		if err := rows.Scan(&table, &column); err != nil {
			return err
		}
		have.Columns[table] = append(have.Columns[table], column)
		return nil
	})
	if err != nil {
		return nil, err
	}
	err = each(ctx, r.conn, findIndexes, func(rows *sql.Rows) error {
		var i schema.FoundIndex
		if err := rows.Scan(&i.Name, &i.Table, &i.Valid); err != nil {
			return err
		}
		have.Indexes = append(have.Indexes, i)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return r.declared.Missing(have)
}

// sessionSettings let a statement take as long as it needs, those of PostgreSQL see to it that it does not outlive its client.
// The latter are tried only: some of its platforms cannot notice that a client is gone.
var (
	sessionSettings  = []string{`SET statement_timeout = 0`}
	postgresSettings = []string{
		`SET client_connection_check_interval = '1s'`, `SET idle_session_timeout = '10min'`, `SET tcp_keepalives_idle = 30`,
		`SET tcp_keepalives_interval = 10`, `SET tcp_keepalives_count = 3`,
	}
)

// begin prepares the session for changes. On PostgreSQL it waits until no other run changes anything: two that build an
// index of one table concurrently would wait for each other. CockroachDB has no such locks; there several runs meet, and each
// reads again what is missing.
func (r *migrationRun) begin(ctx context.Context) error {
	if err := r.prepareSession(ctx); err != nil {
		return err
	}
	if !r.postgres {
		r.alone = true
		return nil
	}
	for attempt := 1; ; attempt++ {
		if err := r.tryLock(ctx); err != nil || r.alone {
			return err
		}
		if attempt == 1 {
			r.tell("another process is migrating: waiting for it")
		}
		if err := pause(ctx, min(attempt, 7)); err != nil {
			return err
		}
	}
}

// prepareSession has the session's settings be those of a migration.
func (r *migrationRun) prepareSession(ctx context.Context) error {
	defer r.guarded()()
	for _, setting := range sessionSettings {
		if _, err := r.conn.ExecContext(ctx, setting); err != nil {
			return err
		}
	}
	if !r.postgres {
		return nil
	}
	for _, setting := range postgresSettings {
		if _, err := r.conn.ExecContext(ctx, setting); err != nil && code(err) == "" {
			return err
		}
	}
	return nil
}

// tryLock is polled: a statement that waited for the lock would itself keep the builder of an index waiting.
func (r *migrationRun) tryLock(ctx context.Context) error {
	defer r.guarded()()
	r.advanced = time.Now()
	return r.conn.QueryRowContext(ctx, tryMigrationLock).Scan(&r.alone)
}

// holders returns who holds a table's lock, the longest first, or nothing where that cannot be learned.
func (r *migrationRun) holders(ctx context.Context, table string) []string {
	if !r.postgres {
		return nil
	}
	defer r.guarded()()
	var held []string
	err := each(ctx, r.conn, findHolders, func(rows *sql.Rows) error {
		var pid int
		var name sql.NullString
		if err := rows.Scan(&pid, &name); err != nil {
			return err
		}
		held = append(held, fmt.Sprintf("process %d (%s)", pid, name.String))
		return nil
	}, table)
	if err != nil {
		return nil
	}
	return held
}

// each calls use with each row.
func each(ctx context.Context, conn *sql.Conn, query string, use func(*sql.Rows) error, args ...any) (err error) {
	rows, err := conn.QueryContext(ctx, query, args...)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		if err := use(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

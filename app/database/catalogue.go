package database

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"app238.com/inner/app/database/internal/schema"
)

// pg_catalog is read because information_schema hides tables on which Inner has no privilege, as on some of Outer's. None of
// these statements locks a table.
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

	// The two numbers identify the lock; nothing else in the database uses them.
	tryMigrationLock = `SELECT pg_try_advisory_lock(22385, 13)`
)

// missing reads the catalogue and returns the steps that create what is missing.
func (r *migrationRun) missing(ctx context.Context) ([]schema.Step, error) {
	defer r.watchdog()()
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

// sessionSettings remove the limit of statements. postgresSettings make PostgreSQL end a statement whose client is gone; they
// are optional, since some platforms cannot detect that.
var (
	sessionSettings  = []string{`SET statement_timeout = 0`}
	postgresSettings = []string{
		`SET client_connection_check_interval = '1s'`, `SET idle_session_timeout = '10min'`, `SET tcp_keepalives_idle = 30`,
		`SET tcp_keepalives_interval = 10`, `SET tcp_keepalives_count = 3`,
	}
)

// begin prepares the session for changes. On PostgreSQL it waits for the migration lock: two runs that build indexes of one
// table concurrently would deadlock. CockroachDB has no advisory locks; there concurrent runs read the catalogue again after
// each conflict.
func (r *migrationRun) begin(ctx context.Context) error {
	if err := r.prepareSession(ctx); err != nil {
		return err
	}
	if !r.postgres {
		r.exclusive = true
		return nil
	}
	for attempt := 1; ; attempt++ {
		if err := r.tryLock(ctx); err != nil || r.exclusive {
			return err
		}
		if attempt == 1 {
			r.progress("waiting for another migration to end")
		}
		if err := pause(ctx, min(attempt, 7)); err != nil {
			return err
		}
	}
}

// prepareSession applies the settings of a migration to the session.
func (r *migrationRun) prepareSession(ctx context.Context) error {
	defer r.watchdog()()
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

// tryLock is polled, since a statement that waits for the lock blocks CREATE INDEX CONCURRENTLY.
func (r *migrationRun) tryLock(ctx context.Context) error {
	defer r.watchdog()()
	r.lastProgress = time.Now()
	return r.conn.QueryRowContext(ctx, tryMigrationLock).Scan(&r.exclusive)
}

// lockHolders returns the processes that hold locks on a table, the oldest transaction first; nothing if the query fails.
func (r *migrationRun) lockHolders(ctx context.Context, table string) []string {
	if !r.postgres {
		return nil
	}
	defer r.watchdog()()
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

// each calls use for each row of a query.
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

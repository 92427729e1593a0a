package rdb

import (
	"context"
	"database/sql"
	"fmt"
	"strings"

	"app238.com/inner/app/database"
)

// dialect is what differs between the engines.
type dialect struct {
	// sizes measures the schemas of the current database whose names begin with $1.
	sizes string
	// connectionLimit limits the connections of a role.
	connectionLimit func(role string, limit int) string
	// disconnect ends the sessions of a database, which would keep it from being dropped.
	disconnect string
}

const postgresSizes = `SELECT n.nspname, COALESCE(sum(pg_total_relation_size(c.oid)), 0)::BIGINT
FROM pg_namespace n LEFT JOIN pg_class c ON c.relnamespace = n.oid AND c.relkind IN ('r', 'm', 'S')
WHERE substr(n.nspname, 1, length($1::TEXT)) = $1 GROUP BY n.nspname`

const cockroachSizes = `SELECT n.nspname, COALESCE(sum(s.approximate_disk_bytes), 0)::BIGINT
FROM pg_namespace n
LEFT JOIN (
    SELECT t.schema_name, z.approximate_disk_bytes
    FROM crdb_internal.tables t CROSS JOIN LATERAL crdb_internal.tenant_span_stats(t.parent_id, t.table_id) AS z
    WHERE t.database_name = current_database()
) s ON s.schema_name = n.nspname
WHERE substr(n.nspname, 1, length($1::TEXT)) = $1 GROUP BY n.nspname`

var (
	postgres = &dialect{
		sizes: postgresSizes,
		// CockroachDB's grammar has no such clause.
		connectionLimit: func(role string, limit int) string {
			return fmt.Sprintf(`ALTER ROLE %s CONNECTION LIMIT %d`, database.Quote(role), limit)
		},
		disconnect: `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1 AND pid <> pg_backend_pid()`,
	}
	cockroach = &dialect{sizes: cockroachSizes}
)

// speaks asks the server once what it is.
func (e *Engine) speaks(ctx context.Context) (*dialect, error) {
	e.mu.Lock()
	known := e.dialect
	e.mu.Unlock()
	if known != nil {
		return known, nil
	}
	var version string
	err := e.on(ctx, "", func(ctx context.Context, db *sql.DB) error {
		_, err := e.read(ctx, db, `SELECT version()`, nil, &version)
		return err
	})
	if err != nil {
		return nil, err
	}
	known = postgres
	if strings.Contains(version, "CockroachDB") {
		known = cockroach
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.dialect = known
	return known, nil
}

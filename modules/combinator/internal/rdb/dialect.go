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
	// sizes measures the schemas of the current database.
	sizes string
	// roles reads the names and marks of some roles that exist; markRole is the statement that sets a mark.
	roles    string
	markRole func(role, mark string) string
	// connectionLimit limits the connections of a role; nil where there is no such limit.
	connectionLimit func(role string, limit int) string
	// disconnect ends the sessions of a database, which would keep it from being dropped.
	disconnect string
	// createClosed stands behind CREATE DATABASE: nobody is let in until admit was carried out on it.
	createClosed, admit string
}

const postgresSizes = `SELECT n.nspname, COALESCE(sum(pg_total_relation_size(c.oid)), 0)::BIGINT
FROM pg_namespace n LEFT JOIN pg_class c ON c.relnamespace = n.oid AND c.relkind IN ('r', 'm', 'S')
WHERE substr(n.nspname, 1, 3) <> 'pg_' GROUP BY n.nspname`

// cockroachSizes asks for the statistics of all of a database at once: for each table they are as much work.
const cockroachSizes = `SELECT n.nspname, COALESCE(sum(s.approximate_disk_bytes), 0)::BIGINT
FROM pg_namespace n LEFT JOIN pg_class c ON c.relnamespace = n.oid AND c.relkind IN ('r', 'm', 'S')
LEFT JOIN (
    SELECT z.table_id, z.approximate_disk_bytes
    FROM crdb_internal.tenant_span_stats((SELECT d.oid::INT8 FROM pg_database d WHERE d.datname = current_database())) AS z
) s ON s.table_id = c.oid::INT8
WHERE substr(n.nspname, 1, 3) <> 'pg_' GROUP BY n.nspname`

// roleSetting is the setting of a role in which CockroachDB, which has no comments on roles, keeps the mark. A role cannot
// change its own settings there.
const roleSetting = "inner_gateway.mark"

const (
	postgresRoles = `SELECT r.rolname, COALESCE(shobj_description(r.oid, 'pg_authid'), '') FROM pg_roles r WHERE r.rolname = ANY($1::TEXT[])`
	// cockroachRoles reads settings as name=value.
	cockroachRoles = `SELECT r.rolname, COALESCE((SELECT substr(s.setting, length('` + roleSetting + `=') + 1) FROM unnest(r.rolconfig) AS s(setting)
    WHERE substr(s.setting, 1, length('` + roleSetting + `=')) = '` + roleSetting + `='), '')
FROM pg_roles r WHERE r.rolname = ANY($1::TEXT[])`
)

var (
	postgres = &dialect{
		sizes: postgresSizes,
		roles: postgresRoles,
		markRole: func(role, mark string) string {
			return fmt.Sprintf(`COMMENT ON ROLE %s IS %s`, database.Quote(role), database.Literal(mark))
		},
		// CockroachDB's grammar has no such clause.
		connectionLimit: func(role string, limit int) string {
			return fmt.Sprintf(`ALTER ROLE %s CONNECTION LIMIT %d`, database.Quote(role), limit)
		},
		disconnect:   `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1 AND pid <> pg_backend_pid()`,
		createClosed: ` ALLOW_CONNECTIONS false`,
		admit:        `ALTER DATABASE %s ALLOW_CONNECTIONS true`,
	}
	cockroach = &dialect{
		sizes: cockroachSizes,
		roles: cockroachRoles,
		markRole: func(role, mark string) string {
			return fmt.Sprintf(`ALTER ROLE %s SET %s = %s`, database.Quote(role), roleSetting, database.Literal(mark))
		},
	}
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

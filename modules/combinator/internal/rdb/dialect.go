package rdb

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"time"

	"app238.com/inner/app/database"
)

// dialect is what differs between the engines.
type dialect struct {
	// sizes measures the schemas of the current database.
	sizes string
	// roles reads the names and marks of some roles that exist; markRole is the statement that sets a mark.
	roles    string
	markRole func(role, mark string) string
	// usedSchemas reads the name of the current database, and how many schemas in it a role has.
	usedSchemas string
	// connectionLimit limits the connections of a role; nil where there is no such limit.
	connectionLimit func(role string, limit int) string
	// holding are the sessions that hold something of a schema, writing those of a role that may have changed the role, of all of a
	// role; empty where nobody holds up a change of the catalogue.
	holding, writing, of string
	// databasesOf are those in which a role has something, with "" for the one that users share; dependsOnRole names what keeps a role
	// from being dropped. Empty where a role has something in its schemas only.
	databasesOf, dependsOnRole string
	// unlink removes some large objects of a role from the current database; nil where there are none.
	unlink func(role string) string
	// unlessCrowded fails where too much goes with a lot of a schema for one text to drop, and parts find less of the schema; nil where
	// there is no such limit.
	unlessCrowded func(s schema, l lot) string
	parts         []string
	// neededBy finds what a role has in other schemas that goes with a lot of a schema; nil where a drop is refused for it.
	neededBy func(role string, s schema, l lot) string
	// disconnecting stands behind DROP DATABASE: the sessions in it, which would keep it, are ended.
	disconnecting string
	// sizesOf is sizes for some schemas; nil where no lock is waited for.
	sizesOf func(schemas []string) string
	// lockTimeout stands in front of a text that is not to wait for a lock for longer than these milliseconds.
	lockTimeout string
	// maintenance are the databases that a server comes with.
	maintenance map[string]bool
	// keptVerifiers reads what the server keeps of passwords; empty where a role cannot change its own.
	keptVerifiers string
	// createClosed stands behind CREATE DATABASE: nobody is let in until admit was carried out on it.
	createClosed, admit string
}

const (
	postgresSizes = `SELECT n.nspname, COALESCE(sum(pg_total_relation_size(c.oid)), 0)::BIGINT
FROM pg_namespace n LEFT JOIN pg_class c ON c.relnamespace = n.oid AND c.relkind IN ('r', 'm', 'S')
WHERE substr(n.nspname, 1, 3) <> 'pg_'` + bySchema
	bySchema = ` GROUP BY n.nspname`
)

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

// Of the schemas of the shared database those count in which a role itself may create. In PostgreSQL 14 another user may have made it
// a member of his role, unasked, which is no use of it.
const (
	postgresUsedSchemas = `SELECT current_database(), (SELECT count(*) FROM pg_namespace n CROSS JOIN aclexplode(n.nspacl) a
    WHERE n.nspname <> 'public' AND substr(n.nspname, 1, 3) <> 'pg_' AND a.grantee = r.oid AND a.privilege_type = 'CREATE')
FROM pg_roles r WHERE r.rolname = $1`
	// By its id, one that was dropped meanwhile is no error.
	cockroachUsedSchemas = `SELECT current_database(), (SELECT count(*) FROM pg_namespace n
    WHERE n.nspname <> 'public' AND substr(n.nspname, 1, 3) <> 'pg_' AND has_schema_privilege(r.oid, n.oid, 'CREATE'))
FROM pg_roles r WHERE r.rolname = $1`
)

const (
	postgresDatabasesOf = `SELECT DISTINCT COALESCE(NULLIF(d.datname, current_database()), ''), '' FROM pg_shdepend s
JOIN pg_roles r ON r.oid = s.refobjid LEFT JOIN pg_database d ON d.oid = s.dbid
WHERE s.refclassid = 'pg_catalog.pg_authid'::REGCLASS AND r.rolname = $1 AND COALESCE(d.datallowconn, true)`
	// postgresDependsOnRole does not see into other databases.
	postgresDependsOnRole = `SELECT DISTINCT COALESCE(CASE WHEN s.dbid = 0 OR d.datname = current_database()
    THEN pg_describe_object(s.classid, s.objid, s.objsubid) END, 'something in the database ' || d.datname), ''
FROM pg_shdepend s JOIN pg_roles r ON r.oid = s.refobjid LEFT JOIN pg_database d ON d.oid = s.dbid
WHERE s.refclassid = 'pg_catalog.pg_authid'::REGCLASS AND r.rolname = $1 LIMIT 10`
	postgresUnlink = `SELECT 'unlinked', n FROM (SELECT count(lo_unlink(m.oid)) AS n
FROM (SELECT l.oid FROM pg_largeobject_metadata l JOIN pg_roles r ON r.oid = l.lomowner WHERE r.rolname = %s LIMIT %d) m) u WHERE n > 0`
)

var (
	postgres = &dialect{
		sizes: postgresSizes,
		roles: postgresRoles, usedSchemas: postgresUsedSchemas,
		markRole: func(role, mark string) string {
			return fmt.Sprintf(`COMMENT ON ROLE %s IS %s`, database.Quote(role), database.Literal(mark))
		},
		// CockroachDB's grammar has no such clause.
		connectionLimit: func(role string, limit int) string {
			return fmt.Sprintf(`ALTER ROLE %s CONNECTION LIMIT %d`, database.Quote(role), limit)
		},
		holding:       sessionsHolding,
		writing:       sessionsWriting,
		of:            sessionsOf,
		databasesOf:   postgresDatabasesOf,
		dependsOnRole: postgresDependsOnRole,
		unlink: func(role string) string {
			return fmt.Sprintf(postgresUnlink, database.Literal(role), mostAtOnce)
		},
		unlessCrowded: unlessCrowded,
		parts:         postgresParts,
		neededBy:      neededBy,
		disconnecting: ` WITH (FORCE)`,
		sizesOf: func(schemas []string) string {
			literals := make([]string, len(schemas))
			for i, name := range schemas {
				literals[i] = database.Literal(name)
			}
			return strings.TrimSuffix(postgresSizes, bySchema) + ` AND n.nspname IN (` + strings.Join(literals, ", ") + `)` + bySchema
		},
		lockTimeout:   `SET LOCAL lock_timeout = %d; `,
		keptVerifiers: keptVerifiers,
		maintenance:   map[string]bool{"postgres": true, "template1": true},
		createClosed:  ` TEMPLATE template0 ALLOW_CONNECTIONS false`, // which nobody can be in
		admit:         `ALTER DATABASE %s ALLOW_CONNECTIONS true`,
	}
	cockroach = &dialect{
		sizes: cockroachSizes,
		roles: cockroachRoles, usedSchemas: cockroachUsedSchemas,
		markRole: func(role, mark string) string {
			return fmt.Sprintf(`ALTER ROLE %s SET %s = %s`, database.Quote(role), roleSetting, database.Literal(mark))
		},
	}
)

// waits is what stands in front of a text that is not to wait for a lock for longer than that.
func (d *dialect) waits(longest time.Duration) string {
	if d.lockTimeout == "" {
		return ""
	}
	return fmt.Sprintf(d.lockTimeout, longest.Milliseconds())
}

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

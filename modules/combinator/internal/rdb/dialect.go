package rdb

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"time"

	"app238.com/inner/app/database"
)

// dialect holds what differs between the engines.
type dialect struct {
	// sizes measures the schemas of the current database.
	sizes string
	// roles reads the names and marks of those of some roles that exist; markRole returns the statement that sets a mark.
	roles    string
	markRole func(role, mark string) string
	// usedSchemas reads the name of the current database, and the number of schemas in it in which a role may create.
	usedSchemas string
	// connectionLimit limits the connections of a role; nil when the engine has no such limit.
	connectionLimit func(role string, limit int) string
	// sessionsHolding finds the sessions that lock a schema, sessionsWriting those of a role that may have changed the role,
	// sessionsOf all of a role; empty when sessions do not block catalog changes.
	sessionsHolding, sessionsWriting, sessionsOf string
	// databasesOf lists the databases in which a role owns something, "" for the shared one; dependsOnRole names what
	// prevents the drop of a role. Empty when a role owns objects in its schemas only.
	databasesOf, dependsOnRole string
	// unlinkLargeObjects deletes some large objects of a role in the current database; nil when there are none.
	unlinkLargeObjects func(role string) string
	// assertFewObjects fails when the drop of a part of a schema would drop too many objects for one text, and dropStatements
	// finds smaller parts of the schema; nil when there is no such limit.
	assertFewObjects func(s schema, p dropPart) string
	dropStatements   []string
	// dependents finds the objects of a role in other schemas that would be dropped with a part of a schema; nil when the
	// engine refuses such a drop itself.
	dependents func(role string, s schema, p dropPart) string
	// dropForce follows DROP DATABASE and terminates the sessions in the database.
	dropForce string
	// sizesOf is sizes for some schemas; nil when measuring waits for no lock.
	sizesOf func(schemas []string) string
	// lockTimeout begins a text that waits for a lock for at most these milliseconds.
	lockTimeout string
	// maintenance holds the databases that a server comes with.
	maintenance map[string]bool
	// roleVerifiers reads the stored password verifiers; empty when a role cannot change its own password.
	roleVerifiers string
	// createClosedSuffix follows CREATE DATABASE: nobody can connect until allowConnections was carried out.
	createClosedSuffix, allowConnections string
}

const (
	postgresSizes = `SELECT n.nspname, COALESCE(sum(pg_total_relation_size(c.oid)), 0)::BIGINT
FROM pg_namespace n LEFT JOIN pg_class c ON c.relnamespace = n.oid AND c.relkind IN ('r', 'm', 'S')
WHERE substr(n.nspname, 1, 3) <> 'pg_'` + bySchema
	bySchema = ` GROUP BY n.nspname`
)

// cockroachSizes reads the statistics of a whole database at once: reading those of one table costs the same.
const cockroachSizes = `SELECT n.nspname, COALESCE(sum(s.approximate_disk_bytes), 0)::BIGINT
FROM pg_namespace n LEFT JOIN pg_class c ON c.relnamespace = n.oid AND c.relkind IN ('r', 'm', 'S')
LEFT JOIN (
    SELECT z.table_id, z.approximate_disk_bytes
    FROM crdb_internal.tenant_span_stats((SELECT d.oid::INT8 FROM pg_database d WHERE d.datname = current_database())) AS z
) s ON s.table_id = c.oid::INT8
WHERE substr(n.nspname, 1, 3) <> 'pg_' GROUP BY n.nspname`

// roleSetting is the role's setting that holds the mark on CockroachDB, which has no comments on roles. A role cannot change
// its own settings there.
const roleSetting = "inner_gateway.mark"

const (
	postgresRoles = `SELECT r.rolname, COALESCE(shobj_description(r.oid, 'pg_authid'), '') FROM pg_roles r WHERE r.rolname = ANY($1::TEXT[])`
	// cockroachRoles reads settings as name=value.
	cockroachRoles = `SELECT r.rolname, COALESCE((SELECT substr(s.setting, length('` + roleSetting +
		`=') + 1) FROM unnest(r.rolconfig) AS s(setting)
    WHERE substr(s.setting, 1, length('` + roleSetting + `=')) = '` + roleSetting + `='), '')
FROM pg_roles r WHERE r.rolname = ANY($1::TEXT[])`
)

// The queries for usedSchemas count the schemas of the shared database in which a role may create objects.
const (
	// postgresUsedSchemas reads the role's own rights only: in PostgreSQL 14 any other user can make it a member of their role.
	postgresUsedSchemas = `SELECT current_database(), (SELECT count(*) FROM pg_namespace n CROSS JOIN aclexplode(n.nspacl) a
    WHERE n.nspname <> 'public' AND substr(n.nspname, 1, 3) <> 'pg_' AND a.grantee = r.oid AND a.privilege_type = 'CREATE')
FROM pg_roles r WHERE r.rolname = $1`
	// cockroachUsedSchemas uses ids, so that a schema that is dropped concurrently causes no error.
	cockroachUsedSchemas = `SELECT current_database(), (SELECT count(*) FROM pg_namespace n
    WHERE n.nspname <> 'public' AND substr(n.nspname, 1, 3) <> 'pg_' AND has_schema_privilege(r.oid, n.oid, 'CREATE'))
FROM pg_roles r WHERE r.rolname = $1`
)

const (
	postgresDatabasesOf = `SELECT DISTINCT COALESCE(NULLIF(d.datname, current_database()), ''), '' FROM pg_shdepend s
JOIN pg_roles r ON r.oid = s.refobjid LEFT JOIN pg_database d ON d.oid = s.dbid
WHERE s.refclassid = 'pg_catalog.pg_authid'::REGCLASS AND r.rolname = $1 AND COALESCE(d.datallowconn, true)`
	// postgresDependsOnRole cannot describe objects in other databases.
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
		sessionsHolding: sessionsHolding,
		sessionsWriting: sessionsWriting,
		sessionsOf:      sessionsOf,
		databasesOf:     postgresDatabasesOf,
		dependsOnRole:   postgresDependsOnRole,
		unlinkLargeObjects: func(role string) string {
			return fmt.Sprintf(postgresUnlink, database.Literal(role), maxObjectsPerDrop)
		},
		assertFewObjects: assertFewObjects,
		dropStatements:   postgresDropStatements,
		dependents:       dependents,
		dropForce:        ` WITH (FORCE)`,
		sizesOf: func(schemas []string) string {
			literals := make([]string, len(schemas))
			for i, name := range schemas {
				literals[i] = database.Literal(name)
			}
			return strings.TrimSuffix(postgresSizes, bySchema) + ` AND n.nspname IN (` + strings.Join(literals, ", ") + `)` + bySchema
		},
		lockTimeout:        `SET LOCAL lock_timeout = %d; `,
		roleVerifiers:      roleVerifiers,
		maintenance:        map[string]bool{"postgres": true, "template1": true},
		createClosedSuffix: ` TEMPLATE template0 ALLOW_CONNECTIONS false`, // nobody can connect to template0
		allowConnections:   `ALTER DATABASE %s ALLOW_CONNECTIONS true`,
	}
	cockroach = &dialect{
		sizes: cockroachSizes,
		roles: cockroachRoles, usedSchemas: cockroachUsedSchemas,
		markRole: func(role, mark string) string {
			return fmt.Sprintf(`ALTER ROLE %s SET %s = %s`, database.Quote(role), roleSetting, database.Literal(mark))
		},
	}
)

// withLockTimeout returns the beginning of a text that waits for a lock for at most that time.
func (d *dialect) withLockTimeout(longest time.Duration) string {
	if d.lockTimeout == "" {
		return ""
	}
	return fmt.Sprintf(d.lockTimeout, longest.Milliseconds())
}

// getDialect reads the server's version once and returns its dialect.
func (e *Engine) getDialect(ctx context.Context) (*dialect, error) {
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

package rdb

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"strings"
	"time"

	"go.uber.org/zap"

	"app238.com/inner/app/database"
	"app238.com/inner/modules/combinator/internal/engine"
)

const (
	// shortLockTimeout is the lock timeout where another session may hold the lock for any time.
	shortLockTimeout = 100 * time.Millisecond
	// maxPartsPerDrop bounds the objects that one text drops: each takes some locks, and all sessions share the server's
	// lock table.
	maxPartsPerDrop = 100
)

// dropSchema drops a schema with its content, unless it is another platform's. It makes nobody else wait for long: neither behind
// a lock of the user or of somebody else, nor for space in the server's lock table, nor until all of the schema is dropped.
func (e *Engine) dropSchema(ctx context.Context, role string, s schema) error {
	isOpen, err := e.allowsConnections(ctx, s.database)
	if err != nil || !isOpen {
		return err
	}
	d, err := e.getDialect(ctx)
	if err != nil {
		return err
	}
	m, err := e.loadMarks(ctx)
	if err != nil {
		return err
	}
	var parts []string // objects to drop before the schema
	for wait, round := shortLockTimeout, 0; ; {
		err := e.on(ctx, s.database, func(ctx context.Context, db *sql.DB) error {
			return e.exec(ctx, db, dropSchemaSQL(d, m, role, s, wait, parts))
		})
		switch {
		case err == nil && parts != nil:
			return engine.ErrUnfinished // few workers serve all users
		case database.IsDivisionByZero(err):
			e.log.Warn("schema of another platform kept", zap.String("schema", qualifiedName(s.database, s.name)))
			return nil
		case isMissing(err): // the database is missing, and with it the schema
			return nil
		case database.IsBadData(err) && parts == nil: // the schema has dependents or too many objects
			var failure error
			parts, failure = e.findBlockers(ctx, d, role, s)
			if failure != nil || len(parts) == 0 { // the schema was emptied concurrently, or none of its objects can be dropped separately
				return cmp.Or(failure, err)
			}
		case database.IsLocked(err) && wait == shortLockTimeout && round < maxAttempts:
			var failure error
			if wait, failure = e.releaseLocks(ctx, d, role, s, round > 0); failure != nil || wait == 0 {
				return cmp.Or(failure, err)
			}
			round++
		default:
			return err
		}
	}
}

// dropSchemaSQL returns a text that checks the mark and drops the given parts of the schema, or without parts the schema
// itself, if it has few objects and no dependents of the user's outside.
func dropSchemaSQL(d *dialect, m *marks, role string, s schema, wait time.Duration, parts []string) string {
	text := d.withLockTimeout(wait) + assertNotOther(m, s)
	if len(parts) > 0 {
		return text + "; " + strings.Join(parts, "; ")
	}
	if d.dependents != nil && role != "" {
		text += fmt.Sprintf(`; SELECT CAST(CASE WHEN EXISTS (%s) THEN 'needed' ELSE '0' END AS INT)`, d.dependents(role, s.name))
	}
	if d.assertFewParts != "" {
		text += "; " + fmt.Sprintf(d.assertFewParts, database.Literal(s.name), maxPartsPerDrop)
	}
	return text + fmt.Sprintf(`; DROP SCHEMA IF EXISTS %s CASCADE`, database.Quote(s.name))
}

// assertNotOther returns a statement that fails, by a division, when the schema's mark is another platform's, and with it
// the rest of the text. A separate query would take as long as the drop.
func assertNotOther(m *marks, s schema) string {
	owner := ownerText(s.resource)
	return fmt.Sprintf(`SELECT 1 / CASE WHEN EXISTS (SELECT 1 FROM pg_namespace n JOIN pg_description d ON d.objoid = n.oid
WHERE n.nspname = %s AND d.classoid = 'pg_catalog.pg_namespace'::REGCLASS AND substr(d.description, 1, %d) = %s
    AND d.description NOT IN (%s, %s)) THEN 0 ELSE 1 END`,
		database.Literal(s.name), len(markPrefix), database.Literal(markPrefix), database.Literal(m.mark(owner)),
		database.Literal(markPrefix+owner))
}

// partsOf finds the relations, routines and types of a schema that can be dropped separately: not those that belong to an
// extension or a column. A partitioned table depends on itself.
const partsOf = `FROM pg_depend d JOIN pg_namespace n ON n.oid = d.refobjid
WHERE d.refclassid = 'pg_catalog.pg_namespace'::REGCLASS
    AND d.classid IN ('pg_catalog.pg_class'::REGCLASS, 'pg_catalog.pg_proc'::REGCLASS, 'pg_catalog.pg_type'::REGCLASS)
    AND NOT EXISTS (SELECT 1 FROM pg_depend i WHERE i.classid = d.classid AND i.objid = d.objid AND i.deptype IN ('i', 'e')
        AND (i.refclassid <> i.classid OR i.refobjid <> i.objid))
    AND n.nspname = `

const (
	// postgresAssertFewParts fails when a schema has more parts than the limit: it casts a text to a number.
	postgresAssertFewParts = `SELECT CAST(CASE WHEN (SELECT count(*) ` + partsOf + `%s) > %d THEN 'crowded' ELSE '0' END AS INT)`
	// postgresParts returns the statements that drop some parts of a schema: first those with the fewest dependents, so that
	// none drops thousands of others with it, as a partitioned table or a type would. Of these, the youngest first.
	postgresParts = `SELECT 'DROP ' || CASE d.classid WHEN 'pg_catalog.pg_proc'::REGCLASS THEN 'ROUTINE' ELSE upper(o.type) END
    || ' IF EXISTS ' || o.identity || ' CASCADE', ''
FROM (SELECT d.classid, d.objid, (SELECT count(*) FROM pg_depend f WHERE f.refclassid = d.classid AND f.refobjid = d.objid) AS needed
    ` + partsOf + `$1 ORDER BY needed, d.objid DESC LIMIT $2) d, pg_identify_object(d.classid, d.objid, 0) o
WHERE o.identity IS NOT NULL ORDER BY d.needed, d.objid DESC`
	// postgresDependents names the objects of a role in other schemas that depend on a schema and would be dropped with it.
	// Dependents of other roles do not prevent the drop.
	postgresDependents = `SELECT DISTINCT COALESCE(pg_describe_object('pg_catalog.pg_class'::REGCLASS, c.oid,
        CASE WHEN d.classid = 'pg_catalog.pg_class'::REGCLASS THEN d.objsubid ELSE 0 END), pg_describe_object(d.classid, d.objid, 0)), ''
FROM pg_namespace n CROSS JOIN LATERAL (
    SELECT 'pg_catalog.pg_class'::REGCLASS AS classid, i.oid FROM pg_class i WHERE i.relnamespace = n.oid
    UNION ALL SELECT 'pg_catalog.pg_type'::REGCLASS, i.oid FROM pg_type i WHERE i.typnamespace = n.oid
    UNION ALL SELECT 'pg_catalog.pg_proc'::REGCLASS, i.oid FROM pg_proc i WHERE i.pronamespace = n.oid) m
JOIN pg_depend d ON d.refclassid = m.classid AND d.refobjid = m.oid
LEFT JOIN pg_rewrite w ON d.classid = 'pg_catalog.pg_rewrite'::REGCLASS AND w.oid = d.objid
LEFT JOIN pg_attrdef a ON d.classid = 'pg_catalog.pg_attrdef'::REGCLASS AND a.oid = d.objid
LEFT JOIN pg_trigger g ON d.classid = 'pg_catalog.pg_trigger'::REGCLASS AND g.oid = d.objid
LEFT JOIN pg_policy p ON d.classid = 'pg_catalog.pg_policy'::REGCLASS AND p.oid = d.objid
LEFT JOIN pg_constraint k ON d.classid = 'pg_catalog.pg_constraint'::REGCLASS AND k.oid = d.objid
LEFT JOIN pg_class c ON c.oid = COALESCE(w.ev_class, a.adrelid, g.tgrelid, p.polrelid, NULLIF(k.conrelid, 0),
    CASE WHEN d.classid = 'pg_catalog.pg_class'::REGCLASS THEN d.objid END)
LEFT JOIN pg_type t ON t.oid = COALESCE(NULLIF(k.contypid, 0), CASE WHEN d.classid = 'pg_catalog.pg_type'::REGCLASS THEN d.objid END)
LEFT JOIN pg_proc f ON d.classid = 'pg_catalog.pg_proc'::REGCLASS AND f.oid = d.objid
JOIN pg_namespace o ON o.oid = COALESCE(c.relnamespace, t.typnamespace, f.pronamespace)
JOIN pg_roles r ON r.oid = COALESCE(c.relowner, t.typowner, f.proowner)
WHERE n.nspname = %s AND r.rolname = %s AND o.oid <> n.oid AND substr(o.nspname, 1, 3) <> 'pg_' LIMIT 10`
)

// findBlockers returns why a schema was not dropped at once: a *DependencyError with its dependents, or the statements that
// drop parts of it first.
func (e *Engine) findBlockers(ctx context.Context, d *dialect, role string, s schema) (parts []string, err error) {
	if d.dependents != nil && role != "" {
		kept := &engine.DependencyError{Object: "the schema " + s.name}
		add := func(name, _ string) { kept.Dependents = append(kept.Dependents, name) }
		err := e.forEachRow(ctx, s.database, func() { kept.Dependents = nil }, add, d.dependents(role, s.name))
		if err != nil {
			return nil, err
		}
		if len(kept.Dependents) > 0 {
			return nil, kept
		}
	}
	return e.partStatements(ctx, s)
}

// partStatements returns the statements that drop some of a schema's objects.
func (e *Engine) partStatements(ctx context.Context, s schema) (statements []string, err error) {
	add := func(statement, _ string) { statements = append(statements, statement) }
	err = e.forEachRow(ctx, s.database, func() { statements = nil }, add, postgresParts, s.name, maxPartsPerDrop)
	return statements, err
}

// Delete implements engine.RDB.
func (e *Engine) Delete(
	ctx context.Context, tenant engine.Tenant, r engine.Resource, name string, last bool,
) (empty bool, err error) {
	s := parseSchema(r, name)
	if s.database != "" {
		tenant.Names.Database = s.database
	}
	if err := e.dropSchema(ctx, tenant.Names.Role, s); err != nil || !last {
		return false, err
	}
	return e.isEmpty(ctx, tenant)
}

// isEmpty reports whether the user has nothing that this platform may have created.
func (e *Engine) isEmpty(ctx context.Context, tenant engine.Tenant) (bool, error) {
	tenant.Owned = true
	found, err := e.ActualParts(ctx, []engine.Tenant{tenant})
	return err == nil && len(found) == 0, err
}

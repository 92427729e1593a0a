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
	// quickWait is how long a lock is waited for where somebody may hold it for as long as he likes.
	shortLockTimeout = 100 * time.Millisecond
	// mostParts is how many things one text drops: each takes some locks, and the server's table of locks is everybody's.
	maxPartsPerDrop = 100
)

// dropSchema drops a schema with its content, unless it is another platform's. Nobody else waits for long: not behind a lock that
// the user, whose role it is, or somebody else holds, and not for a place in the server's table of locks.
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
	var parts []string // what is dropped next, before the rest
	for wait, round := shortLockTimeout, 0; ; {
		err := e.on(ctx, s.database, func(ctx context.Context, db *sql.DB) error {
			return e.exec(ctx, db, dropSchemaSQL(d, m, role, s, wait, parts))
		})
		switch {
		case err == nil && parts != nil:
			parts = nil
		case database.IsDivisionByZero(err):
			e.log.Warn("a schema of this name is another platform's and stays", zap.String("schema", qualifiedName(s.database, s.name)))
			return nil
		case isMissing(err): // the database, and with it the schema
			return nil
		case database.IsBadData(err) && parts == nil: // something needs it, or there is too much in it
			var failure error
			parts, failure = e.findBlockers(ctx, d, role, s)
			if failure != nil || len(parts) == 0 { // it was emptied meanwhile, or nothing of it can be dropped by itself
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

// dropText is one text that reads the mark and drops: parts of the schema, or without any the schema, if there is not too much in
// it and nothing of the user's outside needs it.
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

// unlessForeign is a statement that fails where the schema's mark is another platform's, by a division, and with it the rest of a
// text. To ask first would take as long again as the drop.
func assertNotOther(m *marks, s schema) string {
	owner := ownerText(s.resource)
	return fmt.Sprintf(`SELECT 1 / CASE WHEN EXISTS (SELECT 1 FROM pg_namespace n JOIN pg_description d ON d.objoid = n.oid
WHERE n.nspname = %s AND d.classoid = 'pg_catalog.pg_namespace'::REGCLASS AND substr(d.description, 1, %d) = %s
    AND d.description NOT IN (%s, %s)) THEN 0 ELSE 1 END`,
		database.Literal(s.name), len(markPrefix), database.Literal(markPrefix), database.Literal(m.mark(owner)), database.Literal(markPrefix+owner))
}

// partsOf are the relations, routines and types of a schema that can be dropped by themselves: not those which an extension or
// a column has made. A partitioned table depends on itself.
const partsOf = `FROM pg_depend d JOIN pg_namespace n ON n.oid = d.refobjid
WHERE d.refclassid = 'pg_catalog.pg_namespace'::REGCLASS
    AND d.classid IN ('pg_catalog.pg_class'::REGCLASS, 'pg_catalog.pg_proc'::REGCLASS, 'pg_catalog.pg_type'::REGCLASS)
    AND NOT EXISTS (SELECT 1 FROM pg_depend i WHERE i.classid = d.classid AND i.objid = d.objid AND i.deptype IN ('i', 'e')
        AND (i.refclassid <> i.classid OR i.refobjid <> i.objid))
    AND n.nspname = `

const (
	// postgresUnlessCrowded fails where a schema has more parts than that: it takes a text for a number.
	postgresAssertFewParts = `SELECT CAST(CASE WHEN (SELECT count(*) ` + partsOf + `%s) > %d THEN 'crowded' ELSE '0' END AS INT)`
	// postgresParts makes the statements that drop some parts of a schema: first those which the fewest others depend on, so that none
	// takes thousands with it, as a partitioned table or a type would. Of these the youngest.
	postgresParts = `SELECT 'DROP ' || CASE d.classid WHEN 'pg_catalog.pg_proc'::REGCLASS THEN 'ROUTINE' ELSE upper(o.type) END
    || ' IF EXISTS ' || o.identity || ' CASCADE', ''
FROM (SELECT d.classid, d.objid, (SELECT count(*) FROM pg_depend f WHERE f.refclassid = d.classid AND f.refobjid = d.objid) AS needed
    ` + partsOf + `$1 ORDER BY needed, d.objid DESC LIMIT $2) d, pg_identify_object(d.classid, d.objid, 0) o
WHERE o.identity IS NOT NULL ORDER BY d.needed, d.objid DESC`
	// postgresNeededBy names what of a role's depends on something in a schema and is in another one: the drop would take it along.
	// What somebody else has depend on it keeps nobody's schema.
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

// inTheWay tells why a schema was not dropped at once: an error that names what outside needs it, or else what is to be dropped before.
func (e *Engine) findBlockers(ctx context.Context, d *dialect, role string, s schema) (parts []string, err error) {
	if d.dependents != nil && role != "" {
		kept := &engine.DependencyError{Object: "the schema " + s.name}
		err := e.forEachRow(ctx, s.database, func() { kept.Dependents = nil }, func(name, _ string) { kept.Dependents = append(kept.Dependents, name) }, d.dependents(role, s.name))
		if err != nil {
			return nil, err
		}
		if len(kept.Dependents) > 0 {
			return nil, kept
		}
	}
	return e.partStatements(ctx, s)
}

// parts returns the statements that drop some of what is in a schema.
func (e *Engine) partStatements(ctx context.Context, s schema) (statements []string, err error) {
	err = e.forEachRow(ctx, s.database, func() { statements = nil }, func(statement, _ string) { statements = append(statements, statement) },
		postgresParts, s.name, maxPartsPerDrop)
	return statements, err
}

// Delete implements engine.RDB.
func (e *Engine) Delete(ctx context.Context, tenant engine.Tenant, r engine.Resource, name string, last bool) (empty bool, err error) {
	s := parseSchema(r, name)
	if s.database != "" {
		tenant.Names.Database = s.database
	}
	if err := e.dropSchema(ctx, tenant.Names.Role, s); err != nil || !last {
		return false, err
	}
	return e.isEmpty(ctx, tenant)
}

// hasNothing tells whether there is nothing that this platform might have made for the user.
func (e *Engine) isEmpty(ctx context.Context, tenant engine.Tenant) (bool, error) {
	tenant.Owned = true
	found, err := e.ActualParts(ctx, []engine.Tenant{tenant})
	return err == nil && len(found) == 0, err
}

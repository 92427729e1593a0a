package rdb

import (
	"fmt"
	"strings"

	"app238.com/inner/app/database"
)

// Queries of PostgreSQL's catalogue for dependencies. They need no list of the classes of objects: every object in a schema has
// a row in pg_depend.
const (
	inSchema = `d.refclassid = 'pg_catalog.pg_namespace'::REGCLASS`
	// withoutJIT begins a query that takes longer to compile than to execute.
	withoutJIT = `SET LOCAL jit = off; `
	// maxVisited bounds the objects that one query visits.
	maxVisited = 50_000

	// postgresDown finds all objects that are dropped with some objects, the nearest first: their dependents, and the objects of
	// which they are an internal part.
	postgresDown = `WITH RECURSIVE down (classid, objid, objsubid) AS (%s
    UNION SELECT e.classid, e.objid, e.objsubid FROM down o CROSS JOIN LATERAL (
        SELECT d.classid, d.objid, d.objsubid FROM pg_depend d
        WHERE d.refclassid = o.classid AND d.refobjid = o.objid AND (o.objsubid = 0 OR d.refobjsubid = o.objsubid)
        UNION ALL SELECT d.refclassid, d.refobjid, d.refobjsubid FROM pg_depend d
        WHERE d.classid = o.classid AND d.objid = o.objid AND d.objsubid = o.objsubid AND d.deptype IN ('i', 'e')) e)`
	// postgresCountDown counts the objects that are dropped with some objects, up to a limit.
	postgresCountDown = `SELECT count(*) FROM (` + postgresDown + ` SELECT 1 FROM down LIMIT %d) x`
	// postgresUp adds the objects of which those are a part, as a default is of its column, up to objects that are in a schema
	// themselves. An object that is a part of nothing, such as a cast, is attributed to everything it depends on. OFFSET makes the
	// planner use the index, whatever its estimates are.
	postgresUp = `, up (classid, objid, objsubid) AS (SELECT x.classid, x.objid, x.objsubid FROM (SELECT classid, objid, objsubid FROM down LIMIT %d) x
    UNION SELECT e.classid, e.objid, e.objsubid FROM up o CROSS JOIN LATERAL (
        SELECT p.refclassid AS classid, p.refobjid AS objid, p.refobjsubid AS objsubid FROM pg_depend p
        WHERE p.classid = o.classid AND p.objid = o.objid AND p.objsubid = o.objsubid
        AND NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.classid = o.classid AND d.objid = o.objid AND ` + inSchema + `)
        AND (p.deptype IN ('a', 'i', 'S')
            OR NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.classid = o.classid AND d.objid = o.objid AND d.deptype IN ('a', 'i', 'S'))) OFFSET 0) e)`
	// postgresDependents names the objects of a role in other schemas that are dropped with some objects. Dependents of other
	// roles do not prevent the drop.
	postgresDependents = `
SELECT DISTINCT pg_describe_object(u.classid, u.objid, u.objsubid), '' FROM up u CROSS JOIN LATERAL (
    SELECT 1 FROM pg_depend d JOIN pg_namespace n ON n.oid = d.refobjid
    JOIN pg_shdepend s ON s.classid = d.classid AND s.objid = d.objid AND s.deptype = 'o'
        AND s.dbid = (SELECT b.oid FROM pg_database b WHERE b.datname = current_database())
    JOIN pg_roles r ON r.oid = s.refobjid
    WHERE d.classid = u.classid AND d.objid = u.objid AND ` + inSchema + `
        AND n.nspname <> %s AND substr(n.nspname, 1, 3) <> 'pg_' AND r.rolname = %s OFFSET 0) o LIMIT 10`

	// postgresMembers lists the objects in a schema, the youngest first: they have the fewest dependents.
	postgresMembers = `SELECT d.classid, d.objid, row_number() OVER (ORDER BY d.objid DESC) AS position
FROM pg_depend d JOIN pg_namespace n ON n.oid = d.refobjid WHERE ` + inSchema + ` AND n.nspname = $1`
	// postgresSeparable is the condition that a candidate can be dropped separately: what belongs to an extension, a column or
	// the partition of another table is dropped only with it.
	postgresSeparable = `NOT EXISTS (SELECT 1 FROM pg_depend i WHERE i.classid = c.classid AND i.objid = c.objid AND i.deptype IN ('i', 'e', 'P')
    AND (i.refclassid <> i.classid OR i.refobjid <> i.objid)) ORDER BY c.position LIMIT $2::BIGINT`
	// postgresDropStatement is the statement that drops an object, NULL when there is none.
	postgresDropStatement = `CASE
    WHEN f.oid IS NOT NULL THEN format('DROP %s IF EXISTS %I.%I(%s) CASCADE', o.type, o.schema, f.proname,
        COALESCE(NULLIF(pg_get_function_identity_arguments(f.oid), ''), CASE WHEN f.prokind = 'a' THEN '*' END))
    WHEN k.contypid <> 0 THEN format('ALTER DOMAIN %s DROP CONSTRAINT IF EXISTS %I CASCADE', k.contypid::REGTYPE, k.conname)
    WHEN k.coninhcount = 0 AND k.contype <> 'n' THEN format('ALTER TABLE IF EXISTS %s DROP CONSTRAINT IF EXISTS %I CASCADE',
        k.conrelid::REGCLASS, k.conname)
    WHEN o.schema IS NOT NULL OR c.classid IN ('pg_catalog.pg_trigger'::REGCLASS, 'pg_catalog.pg_policy'::REGCLASS,
        'pg_catalog.pg_rewrite'::REGCLASS,
        'pg_catalog.pg_cast'::REGCLASS) THEN format('DROP %s IF EXISTS %s CASCADE', replace(o.type, 'statistics object',
            'statistics'), o.identity)
    END`
)

// objectsSQL returns a query for the objects of the part.
func (p dropPart) objectsSQL(s schema) string {
	if p.isWhole() {
		return `SELECT 'pg_catalog.pg_namespace'::REGCLASS::OID, n.oid, 0 FROM pg_namespace n WHERE n.nspname = ` +
			database.Literal(s.name)
	}
	return `VALUES ` + strings.Join(p.objects, ", ")
}

// assertFewObjects returns a statement that fails when more objects are dropped with a part than one text may drop: it casts a
// text to a number.
func assertFewObjects(s schema, p dropPart) string {
	return fmt.Sprintf(`SELECT CAST(CASE WHEN (`+postgresCountDown+`) > %d THEN 'crowded' ELSE '0' END AS INT)`,
		p.objectsSQL(s), maxObjectsPerDrop+1, maxObjectsPerDrop)
}

func dependents(role string, s schema, p dropPart) string {
	return fmt.Sprintf(postgresDown+postgresUp+postgresDependents, p.objectsSQL(s), maxVisited, database.Literal(s.name),
		database.Literal(role))
}

// dropStatementsOf returns a query for the statements, with the ids, that drop some of the candidates: the first ones with
// which no more than $2 objects are dropped.
func dropStatementsOf(candidates string) string {
	return `SELECT p.statement, '(' || p.classid || '::OID, ' || p.objid || '::OID, 0)' FROM (
    SELECT c.classid::OID, c.objid, c.statement, c.position, sum(w.count) OVER (ORDER BY c.position) AS total
    FROM (SELECT c.classid, c.objid, c.position, ` + postgresDropStatement + ` AS statement
        FROM (SELECT c.classid, c.objid, c.position FROM (` + candidates + `) c WHERE ` + postgresSeparable + `) c CROSS JOIN pg_identify_object(c.classid, c.objid, 0) o
        LEFT JOIN pg_proc f ON c.classid = 'pg_catalog.pg_proc'::REGCLASS AND f.oid = c.objid
        LEFT JOIN pg_constraint k ON c.classid = 'pg_catalog.pg_constraint'::REGCLASS AND k.oid = c.objid) c
    CROSS JOIN LATERAL (` + fmt.Sprintf(postgresCountDown, `SELECT c.classid, c.objid, 0`, maxObjectsPerDrop+1) + `) w
    WHERE c.statement IS NOT NULL AND w.count <= $2::BIGINT) p WHERE p.total <= $2::BIGINT ORDER BY p.position`
}

// postgresDropStatements finds the objects of a schema to drop first: the youngest members, or, when each of these has too many
// dependents, as a table with 10,000 triggers has, the furthest dependents.
var postgresDropStatements = []string{
	dropStatementsOf(postgresMembers),
	dropStatementsOf(fmt.Sprintf(postgresDown+`
    SELECT x.classid, x.objid, -row_number() OVER () AS position FROM (SELECT classid, objid, objsubid FROM down LIMIT %d) x WHERE x.objsubid = 0`,
		`SELECT m.classid, m.objid, 0 FROM (SELECT c.classid, c.objid FROM (`+postgresMembers+`) c WHERE `+postgresSeparable+`) m`,
		maxVisited)),
}

package rdb

import (
	"fmt"
	"strings"

	"app238.com/inner/app/database"
)

// What PostgreSQL's catalogue tells of what depends on what. No class of objects is named where all of them are meant: what a schema
// holds has a row about it in pg_depend, whatever it is.
const (
	inSchema = `d.refclassid = 'pg_catalog.pg_namespace'::REGCLASS`
	// uncompiled stands in front of a question whose compilation takes longer than the answer.
	uncompiled = `SET LOCAL jit = off; `
	// mostSeen bounds how many objects one query visits.
	mostSeen = 50_000

	// postgresDown is all that goes with some objects, the nearest first: what depends on them, and what it is an inner part of.
	postgresDown = `WITH RECURSIVE down (classid, objid, objsubid) AS (%s
    UNION SELECT e.classid, e.objid, e.objsubid FROM down o CROSS JOIN LATERAL (
        SELECT d.classid, d.objid, d.objsubid FROM pg_depend d
        WHERE d.refclassid = o.classid AND d.refobjid = o.objid AND (o.objsubid = 0 OR d.refobjsubid = o.objsubid)
        UNION ALL SELECT d.refclassid, d.refobjid, d.refobjsubid FROM pg_depend d
        WHERE d.classid = o.classid AND d.objid = o.objid AND d.objsubid = o.objsubid AND d.deptype IN ('i', 'e')) e)`
	// postgresWeight is how many objects go with some, counted no further than to one too many.
	postgresWeight = `SELECT count(*) FROM (` + postgresDown + ` SELECT 1 FROM down LIMIT %d) x`
	// postgresUp adds to that what it is a part of, as a default of its column, up to what is in a schema itself. What is a part of
	// nothing, as a cast, is where all is that it is made of. OFFSET has the server go by the index, whatever it expects.
	postgresUp = `, up (classid, objid, objsubid) AS (SELECT x.classid, x.objid, x.objsubid FROM (SELECT classid, objid, objsubid FROM down LIMIT %d) x
    UNION SELECT e.classid, e.objid, e.objsubid FROM up o CROSS JOIN LATERAL (
        SELECT p.refclassid AS classid, p.refobjid AS objid, p.refobjsubid AS objsubid FROM pg_depend p WHERE p.classid = o.classid AND p.objid = o.objid AND p.objsubid = o.objsubid
        AND NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.classid = o.classid AND d.objid = o.objid AND ` + inSchema + `)
        AND (p.deptype IN ('a', 'i', 'S')
            OR NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.classid = o.classid AND d.objid = o.objid AND d.deptype IN ('a', 'i', 'S'))) OFFSET 0) e)`
	// postgresNeededBy names what of a role's goes with some objects and is in another schema. What somebody else has depend on them
	// keeps nobody's schema.
	postgresNeededBy = `
SELECT DISTINCT pg_describe_object(u.classid, u.objid, u.objsubid), '' FROM up u CROSS JOIN LATERAL (
    SELECT 1 FROM pg_depend d JOIN pg_namespace n ON n.oid = d.refobjid
    JOIN pg_shdepend s ON s.classid = d.classid AND s.objid = d.objid AND s.deptype = 'o'
        AND s.dbid = (SELECT b.oid FROM pg_database b WHERE b.datname = current_database())
    JOIN pg_roles r ON r.oid = s.refobjid
    WHERE d.classid = u.classid AND d.objid = u.objid AND ` + inSchema + `
        AND n.nspname <> %s AND substr(n.nspname, 1, 3) <> 'pg_' AND r.rolname = %s OFFSET 0) o LIMIT 10`

	// postgresMembers are what is in a schema, the youngest, on which the fewest others depend, first.
	postgresMembers = `SELECT d.classid, d.objid, row_number() OVER (ORDER BY d.objid DESC) AS place
FROM pg_depend d JOIN pg_namespace n ON n.oid = d.refobjid WHERE ` + inSchema + ` AND n.nspname = $1`
	// postgresApart tells of a candidate whether it can be dropped by itself: what an extension, a column or the partition of another
	// has made goes with it only.
	postgresApart = `NOT EXISTS (SELECT 1 FROM pg_depend i WHERE i.classid = c.classid AND i.objid = c.objid AND i.deptype IN ('i', 'e', 'P')
    AND (i.refclassid <> i.classid OR i.refobjid <> i.objid)) ORDER BY c.place LIMIT $2::BIGINT`
	// postgresDropping is the statement that drops an object by itself, NULL where there is none.
	postgresDropping = `CASE
    WHEN f.oid IS NOT NULL THEN format('DROP %s IF EXISTS %I.%I(%s) CASCADE', o.type, o.schema, f.proname,
        COALESCE(NULLIF(pg_get_function_identity_arguments(f.oid), ''), CASE WHEN f.prokind = 'a' THEN '*' END))
    WHEN k.contypid <> 0 THEN format('ALTER DOMAIN %s DROP CONSTRAINT IF EXISTS %I CASCADE', k.contypid::REGTYPE, k.conname)
    WHEN k.coninhcount = 0 AND k.contype <> 'n' THEN format('ALTER TABLE IF EXISTS %s DROP CONSTRAINT IF EXISTS %I CASCADE', k.conrelid::REGCLASS, k.conname)
    WHEN o.schema IS NOT NULL OR c.classid IN ('pg_catalog.pg_trigger'::REGCLASS, 'pg_catalog.pg_policy'::REGCLASS, 'pg_catalog.pg_rewrite'::REGCLASS,
        'pg_catalog.pg_cast'::REGCLASS) THEN format('DROP %s IF EXISTS %s CASCADE', replace(o.type, 'statistics object', 'statistics'), o.identity)
    END`
)

// from is a query for what a lot consists of.
func (l lot) from(s schema) string {
	if l.isWhole() {
		return `SELECT 'pg_catalog.pg_namespace'::REGCLASS::OID, n.oid, 0 FROM pg_namespace n WHERE n.nspname = ` + database.Literal(s.name)
	}
	return `VALUES ` + strings.Join(l.parts, ", ")
}

// unlessCrowded is a statement that fails where more goes with a lot than one text drops: it takes a text for a number.
func unlessCrowded(s schema, l lot) string {
	return fmt.Sprintf(`SELECT CAST(CASE WHEN (`+postgresWeight+`) > %d THEN 'crowded' ELSE '0' END AS INT)`, l.from(s), mostAtOnce+1, mostAtOnce)
}

func neededBy(role string, s schema, l lot) string {
	return fmt.Sprintf(postgresDown+postgresUp+postgresNeededBy, l.from(s), mostSeen, database.Literal(s.name), database.Literal(role))
}

// partsOf is a query for the statements, with the ids, that drop some of the candidates by themselves: the first ones with which no more
// goes than $2.
func partsOf(candidates string) string {
	return `SELECT p.statement, '(' || p.classid || '::OID, ' || p.objid || '::OID, 0)' FROM (
    SELECT c.classid::OID, c.objid, c.statement, c.place, sum(w.count) OVER (ORDER BY c.place) AS total
    FROM (SELECT c.classid, c.objid, c.place, ` + postgresDropping + ` AS statement
        FROM (SELECT c.classid, c.objid, c.place FROM (` + candidates + `) c WHERE ` + postgresApart + `) c CROSS JOIN pg_identify_object(c.classid, c.objid, 0) o
        LEFT JOIN pg_proc f ON c.classid = 'pg_catalog.pg_proc'::REGCLASS AND f.oid = c.objid
        LEFT JOIN pg_constraint k ON c.classid = 'pg_catalog.pg_constraint'::REGCLASS AND k.oid = c.objid) c
    CROSS JOIN LATERAL (` + fmt.Sprintf(postgresWeight, `SELECT c.classid, c.objid, 0`, mostAtOnce+1) + `) w
    WHERE c.statement IS NOT NULL AND w.count <= $2::BIGINT) p WHERE p.total <= $2::BIGINT ORDER BY p.place`
}

// postgresParts finds what of a schema is dropped first: the youngest of its members, or, where too much goes with each of these, as with
// a table of 10,000 triggers, the furthest of what does.
var postgresParts = []string{
	partsOf(postgresMembers),
	partsOf(fmt.Sprintf(postgresDown+`
    SELECT x.classid, x.objid, -row_number() OVER () AS place FROM (SELECT classid, objid, objsubid FROM down LIMIT %d) x WHERE x.objsubid = 0`,
		`SELECT m.classid, m.objid, 0 FROM (SELECT c.classid, c.objid FROM (`+postgresMembers+`) c WHERE `+postgresApart+`) m`, mostSeen)),
}

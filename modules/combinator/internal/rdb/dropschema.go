package rdb

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"time"

	"go.uber.org/zap"

	"app238.com/inner/app/database"
)

const (
	// quickWait is how long a lock is waited for where somebody may hold it for as long as he likes.
	quickWait = 100 * time.Millisecond
	// mostParts is how many things one text drops: each takes some locks, and the server's table of locks is everybody's.
	mostParts = 100
)

// dropSchema drops a schema with its content, unless it is another platform's. Nobody else waits for long: not behind a lock that
// the user, whose role it is, or somebody else holds, and not for a place in the server's table of locks.
func (e *Engine) dropSchema(ctx context.Context, role string, s schema) error {
	isOpen, err := e.isOpen(ctx, s.database)
	if err != nil || !isOpen {
		return err
	}
	d, err := e.speaks(ctx)
	if err != nil {
		return err
	}
	var parts []string // what is dropped next, before the rest
	for wait, freed := quickWait, false; ; {
		err := e.on(ctx, s.database, func(ctx context.Context, db *sql.DB) error { return e.exec(ctx, db, e.dropText(d, s, wait, parts)) })
		switch {
		case err == nil && parts != nil:
			parts = nil
		case database.IsDivisionByZero(err):
			e.log.Warn("a schema of this name is another platform's and stays", zap.String("schema", join(s.database, s.name)))
			return nil
		case missing(err): // the database, and with it the schema
			return nil
		case database.IsBadData(err) && parts == nil: // there is too much in it
			found, failure := e.parts(ctx, s)
			if failure != nil {
				return failure
			}
			if len(found) == 0 { // it was emptied meanwhile, or nothing of it can be dropped by itself
				return err
			}
			parts = found
		case database.IsLocked(err) && !freed:
			isFree, failure := e.free(ctx, d, role, s)
			if failure != nil {
				return failure
			}
			if !isFree {
				return err
			}
			wait, freed = e.config.LockTimeout, true
		default:
			return err
		}
	}
}

// dropText is one text that reads the mark and drops: parts of the schema, or without any the schema, if there is not too much in
// it.
func (e *Engine) dropText(d *dialect, s schema, wait time.Duration, parts []string) string {
	text := d.waits(wait) + e.unlessForeign(s)
	if len(parts) > 0 {
		return text + "; " + strings.Join(parts, "; ")
	}
	if d.unlessCrowded != "" {
		text += "; " + fmt.Sprintf(d.unlessCrowded, database.Literal(s.name), mostParts)
	}
	return text + fmt.Sprintf(`; DROP SCHEMA IF EXISTS %s CASCADE`, database.Quote(s.name))
}

// unlessForeign is a statement that fails where the schema's mark is another platform's, by a division, and with it the rest of a
// text. To ask first would take as long again as the drop.
func (e *Engine) unlessForeign(s schema) string {
	whose := whom(s.resource)
	return fmt.Sprintf(`SELECT 1 / CASE WHEN EXISTS (SELECT 1 FROM pg_namespace n JOIN pg_description d ON d.objoid = n.oid
WHERE n.nspname = %s AND d.classoid = 'pg_catalog.pg_namespace'::REGCLASS AND substr(d.description, 1, %d) = %s
    AND d.description NOT IN (%s, %s)) THEN 0 ELSE 1 END`,
		database.Literal(s.name), len(marked), database.Literal(marked), database.Literal(e.mark(whose)), database.Literal(marked+whose))
}

// partsOf are the relations, routines and types of a schema that can be dropped by themselves: not those which an extension or
// a column has made.
const partsOf = `FROM pg_depend d JOIN pg_namespace n ON n.oid = d.refobjid
WHERE d.refclassid = 'pg_catalog.pg_namespace'::REGCLASS
    AND d.classid IN ('pg_catalog.pg_class'::REGCLASS, 'pg_catalog.pg_proc'::REGCLASS, 'pg_catalog.pg_type'::REGCLASS)
    AND NOT EXISTS (SELECT 1 FROM pg_depend i WHERE i.classid = d.classid AND i.objid = d.objid AND i.deptype IN ('i', 'e'))
    AND n.nspname = `

const (
	// postgresUnlessCrowded fails where a schema has more parts than that: it takes a text for a number.
	postgresUnlessCrowded = `SELECT CAST(CASE WHEN (SELECT count(*) ` + partsOf + `%s) > %d THEN 'crowded' ELSE '0' END AS INT)`
	// postgresParts makes the statements that drop some parts of a schema, the youngest first: what belongs to another one, as a
	// partition does, is younger as a rule.
	postgresParts = `SELECT 'DROP ' || CASE d.classid WHEN 'pg_catalog.pg_proc'::REGCLASS THEN 'ROUTINE' ELSE upper(o.type) END
    || ' IF EXISTS ' || o.identity || ' CASCADE', ''
FROM (SELECT d.classid, d.objid ` + partsOf + `$1 ORDER BY d.objid DESC LIMIT $2) d, pg_identify_object(d.classid, d.objid, 0) o
WHERE o.identity IS NOT NULL ORDER BY d.objid DESC`
)

// parts returns the statements that drop some of what is in a schema.
func (e *Engine) parts(ctx context.Context, s schema) (statements []string, err error) {
	err = e.each(ctx, s.database, func() { statements = nil }, func(statement, _ string) { statements = append(statements, statement) },
		postgresParts, s.name, mostParts)
	return statements, err
}

package rdb

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"strings"
	"time"

	"app238.com/inner/app/database"
	"app238.com/inner/modules/combinator/internal/engine"
)

const (
	// shortLockTimeout is the lock timeout where another session may hold the lock for any time.
	shortLockTimeout = 100 * time.Millisecond
	// maxObjectsPerDrop bounds the objects that one text drops: each takes a lock, and all sessions share the server's lock
	// table.
	maxObjectsPerDrop = 100
)

// dropPart is what one text drops: a schema, or some objects in it.
type dropPart struct {
	statements []string
	// objects holds the catalogue's ids of the objects, nil for the schema.
	objects []string
	// isIndivisible is true when no object of the schema can be dropped separately, as with one table that has a default for each
	// of its many columns.
	isIndivisible bool
	// ifEmpty is true for a schema that is dropped only if it is empty, without the queries for its dependents: these take several
	// times as long as the drop.
	ifEmpty bool
}

func emptySchema(s schema) dropPart {
	return dropPart{statements: []string{fmt.Sprintf(`DROP SCHEMA IF EXISTS %s RESTRICT`, database.Quote(s.name))}, ifEmpty: true}
}

func wholeSchema(s schema) dropPart {
	return dropPart{statements: []string{fmt.Sprintf(`DROP SCHEMA IF EXISTS %s CASCADE`, database.Quote(s.name))}}
}

func (p dropPart) isWhole() bool { return p.objects == nil }

// half returns the first half of the objects: the server's lock table had no space for all of them.
func (p dropPart) half() dropPart {
	n := (len(p.objects) + 1) / 2
	return dropPart{statements: p.statements[:n], objects: p.objects[:n]}
}

// dropSchema drops a schema with its content, or returns *engine.OtherPlatformError. It makes nobody else wait for long: neither
// behind a lock of the user or of somebody else, nor for space in the server's lock table, nor until all of the schema is
// dropped.
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
	next := wholeSchema(s)
	if d.dependents != nil {
		next = emptySchema(s)
	}
	for wait, round := shortLockTimeout, 0; ; {
		err := e.on(ctx, s.database, func(ctx context.Context, db *sql.DB) error {
			return e.exec(ctx, db, dropSQL(d, m, role, s, wait, next))
		})
		var failure error
		switch {
		case err == nil && !next.isWhole():
			return engine.ErrUnfinished // few workers serve all users
		case database.IsDivisionByZero(err):
			return &engine.OtherPlatformError{Object: "the schema " + qualifiedName(s.database, s.name)}
		case isMissing(err): // the database is missing, and with it the schema
			return nil
		case next.ifEmpty && database.IsInUse(err):
			next = wholeSchema(s)
		case database.IsBadData(err), database.IsOutOfMemory(err): // the part has dependents or too many objects
			if next, failure = e.smallerPart(ctx, d, role, s, next); failure != nil || len(next.statements) == 0 {
				return cmp.Or(failure, err)
			}
		case database.IsLocked(err) && wait == shortLockTimeout && round < maxAttempts:
			if wait, failure = e.releaseLocks(ctx, d, role, s, round > 0); failure != nil || wait == 0 {
				return cmp.Or(failure, err)
			}
			round++
		default:
			return err
		}
	}
}

// dropSQL returns a text that checks the mark and drops a part of the schema, if it has few objects and no dependents of the
// user's outside.
func dropSQL(d *dialect, m *marks, role string, s schema, wait time.Duration, p dropPart) string {
	text := d.withLockTimeout(wait) + assertNotOther(m, s)
	if p.ifEmpty {
		return text + "; " + p.statements[0]
	}
	if d.assertFewObjects != nil && p.isWhole() && !p.isIndivisible {
		text += "; " + d.assertFewObjects(s, p)
	}
	if d.dependents != nil && role != "" {
		text += fmt.Sprintf(`; `+withoutJIT+`SELECT CAST(CASE WHEN EXISTS (%s) THEN 'needed' ELSE '0' END AS INT)`,
			d.dependents(role, s, p))
	}
	return text + "; " + strings.Join(p.statements, "; ")
}

// assertNotOther returns a statement that fails, by a division, when the schema's mark is another platform's, and with it
// the rest of the text. A separate query would take as long as the drop.
func assertNotOther(m *marks, s schema) string {
	owner := ownerText(s.resource)
	return fmt.Sprintf(`SELECT 1 / CASE WHEN EXISTS (SELECT 1 FROM pg_namespace n JOIN pg_description d ON d.objoid = n.oid
WHERE n.nspname = %s AND d.classoid = 'pg_catalog.pg_namespace'::REGCLASS AND substr(d.description, 1, %d) = %s
    AND d.description NOT IN (%s, %s, %s)) THEN 0 ELSE 1 END`,
		database.Literal(s.name), len(markPrefix), database.Literal(markPrefix), database.Literal(m.mark(owner)),
		database.Literal(m.unencryptedMark(owner)), database.Literal(markPrefix+owner))
}

// smallerPart returns what to drop instead of a part that could not be dropped at once, no statements when there is nothing
// smaller, or a *DependencyError with the dependents outside of the schema.
func (e *Engine) smallerPart(ctx context.Context, d *dialect, role string, s schema, p dropPart) (smaller dropPart, err error) {
	if d.dependents != nil && role != "" {
		kept := &engine.DependencyError{Object: "the schema " + s.name}
		add := func(name, _ string) { kept.Dependents = append(kept.Dependents, name) }
		err := e.forEachRow(ctx, s.database, func() { kept.Dependents = nil }, add, withoutJIT+d.dependents(role, s, p))
		if err != nil {
			return dropPart{}, err
		}
		if len(kept.Dependents) > 0 {
			return dropPart{}, kept
		}
	}
	switch {
	case len(p.objects) > 1:
		return p.half(), nil
	case !p.isWhole(), p.isIndivisible, len(d.dropStatements) == 0:
		return dropPart{}, nil
	}
	for _, query := range d.dropStatements {
		add := func(statement, id string) {
			smaller.statements, smaller.objects = append(smaller.statements, statement), append(smaller.objects, id)
		}
		err := e.forEachRow(ctx, s.database, func() { smaller = dropPart{} }, add, query, s.name, maxObjectsPerDrop)
		if err != nil || len(smaller.objects) > 0 {
			return smaller, err
		}
	}
	smaller = wholeSchema(s)
	smaller.isIndivisible = true
	return smaller, nil
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
	empty, _, err = e.remainingParts(ctx, tenant)
	return empty, err
}

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
	// quickWait is how long a lock is waited for where somebody may hold it for as long as he likes.
	quickWait = 100 * time.Millisecond
	// mostAtOnce is how many things one text drops: each takes a lock, and the server's table of locks is everybody's.
	mostAtOnce = 100
)

// lot is what one text drops: the schema, or some parts of it. Of the parts it holds the ids in the catalogue.
type lot struct {
	statements, parts []string
	// inseparable says that nothing of it can be dropped by itself, as of one table with a default for each of its many columns.
	inseparable bool
	// isEmpty says that it is the schema with nothing in it, which the server sees to itself: to ask what goes with it takes
	// several times as long.
	isEmpty bool
}

func emptyOf(s schema) lot {
	return lot{statements: []string{fmt.Sprintf(`DROP SCHEMA IF EXISTS %s RESTRICT`, database.Quote(s.name))}, isEmpty: true}
}

func wholeOf(s schema) lot {
	return lot{statements: []string{fmt.Sprintf(`DROP SCHEMA IF EXISTS %s CASCADE`, database.Quote(s.name))}}
}

func (l lot) isWhole() bool { return l.parts == nil }

// half is what is tried where the server had no place for the locks of all of it.
func (l lot) half() lot {
	n := (len(l.parts) + 1) / 2
	return lot{statements: l.statements[:n], parts: l.parts[:n]}
}

// dropSchema drops a schema with its content, unless it is another platform's: *engine.Foreign. Nobody else waits for long: not behind a lock that
// the user, whose role it is, or somebody else holds, not for a place in the server's table of locks, and not until all of it is dropped.
func (e *Engine) dropSchema(ctx context.Context, role string, s schema) error {
	isOpen, err := e.isOpen(ctx, s.database)
	if err != nil || !isOpen {
		return err
	}
	d, err := e.speaks(ctx)
	if err != nil {
		return err
	}
	m, err := e.marks(ctx)
	if err != nil {
		return err
	}
	next := wholeOf(s)
	if d.neededBy != nil {
		next = emptyOf(s)
	}
	for wait, round := quickWait, 0; ; {
		err := e.on(ctx, s.database, func(ctx context.Context, db *sql.DB) error {
			return e.exec(ctx, db, dropText(d, m, role, s, wait, next))
		})
		var failure error
		switch {
		case err == nil && !next.isWhole():
			return engine.ErrUnfinished // few workers serve all users
		case database.IsDivisionByZero(err):
			return &engine.Foreign{What: "the schema " + join(s.database, s.name)}
		case missing(err): // the database, and with it the schema
			return nil
		case next.isEmpty && database.IsInUse(err):
			next = wholeOf(s)
		case database.IsBadData(err), database.IsFull(err): // something needs it, or there is too much in it
			if next, failure = e.less(ctx, d, role, s, next); failure != nil || len(next.statements) == 0 {
				return cmp.Or(failure, err)
			}
		case database.IsLocked(err) && wait == quickWait && round < maxRuns:
			if wait, failure = e.free(ctx, d, role, s, round > 0); failure != nil || wait == 0 {
				return cmp.Or(failure, err)
			}
			round++
		default:
			return err
		}
	}
}

// dropText is one text that reads the mark and drops a lot, if there is not too much in it and nothing of the user's outside needs it.
func dropText(d *dialect, m *marks, role string, s schema, wait time.Duration, l lot) string {
	text := d.waits(wait) + unlessForeign(m, s)
	if l.isEmpty {
		return text + "; " + l.statements[0]
	}
	if d.unlessCrowded != nil && l.isWhole() && !l.inseparable {
		text += "; " + d.unlessCrowded(s, l)
	}
	if d.neededBy != nil && role != "" {
		text += fmt.Sprintf(`; `+uncompiled+`SELECT CAST(CASE WHEN EXISTS (%s) THEN 'needed' ELSE '0' END AS INT)`, d.neededBy(role, s, l))
	}
	return text + "; " + strings.Join(l.statements, "; ")
}

// unlessForeign is a statement that fails where the schema's mark is another platform's, by a division, and with it the rest of a
// text. To ask first would take as long again as the drop.
func unlessForeign(m *marks, s schema) string {
	whose := whom(s.resource)
	return fmt.Sprintf(`SELECT 1 / CASE WHEN EXISTS (SELECT 1 FROM pg_namespace n JOIN pg_description d ON d.objoid = n.oid
WHERE n.nspname = %s AND d.classoid = 'pg_catalog.pg_namespace'::REGCLASS AND substr(d.description, 1, %d) = %s
    AND d.description NOT IN (%s, %s, %s)) THEN 0 ELSE 1 END`,
		database.Literal(s.name), len(marked), database.Literal(marked), database.Literal(m.mark(whose)), database.Literal(m.inClear(whose)),
		database.Literal(marked+whose))
}

// less returns what to drop instead of a lot that could not be dropped at once, nothing where there is no less, or an error that names
// what outside needs it.
func (e *Engine) less(ctx context.Context, d *dialect, role string, s schema, l lot) (smaller lot, err error) {
	if d.neededBy != nil && role != "" {
		kept := &engine.Kept{What: "the schema " + s.name}
		err := e.each(ctx, s.database, func() { kept.By = nil }, func(name, _ string) { kept.By = append(kept.By, name) }, uncompiled+d.neededBy(role, s, l))
		if err != nil {
			return lot{}, err
		}
		if len(kept.By) > 0 {
			return lot{}, kept
		}
	}
	switch {
	case len(l.parts) > 1:
		return l.half(), nil
	case !l.isWhole(), l.inseparable, len(d.parts) == 0:
		return lot{}, nil
	}
	for _, query := range d.parts {
		err := e.each(ctx, s.database, func() { smaller = lot{} }, func(statement, id string) {
			smaller.statements, smaller.parts = append(smaller.statements, statement), append(smaller.parts, id)
		}, query, s.name, mostAtOnce)
		if err != nil || len(smaller.parts) > 0 {
			return smaller, err
		}
	}
	smaller = wholeOf(s)
	smaller.inseparable = true
	return smaller, nil
}

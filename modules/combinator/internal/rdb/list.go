package rdb

import (
	"context"
	"database/sql"
	"fmt"
	"math"
	"strings"

	"app238.com/inner/app/database"
	"app238.com/inner/modules/combinator/internal/engine"
)

// listPage is the number of schemas per query.
const listPage = 500

const listSchemas = `SELECT n.nspname, COALESCE(obj_description(n.oid, 'pg_namespace'), '') FROM pg_namespace n
WHERE substr(n.nspname, 1, 3) <> 'pg_' AND n.nspname > $1 ORDER BY n.nspname LIMIT $2`

// List implements engine.RDB.
func (e *Engine) List(ctx context.Context, page func([]engine.Found) error) error {
	m, err := e.loadMarks(ctx)
	if err != nil {
		return err
	}
	databases, err := e.databases(ctx)
	if err != nil {
		return err
	}
	for _, name := range databases {
		for after := ""; ; {
			found, last, err := e.listFrom(ctx, m, name, after)
			if err != nil {
				return err
			}
			if err := page(found); err != nil {
				return err
			}
			if last == "" {
				break
			}
			after = last
		}
	}
	return nil
}

// listFrom returns the schemas of the page after a name, and the last name of that page; "" after the last page.
func (e *Engine) listFrom(
	ctx context.Context, m *marks, databaseName, after string,
) (found []engine.Found, last string, err error) {
	n := 0
	err = e.forEachRow(ctx, databaseName, func() { found, last, n = nil, "", 0 }, func(name, mark string) {
		if one, ok := m.parse(qualifiedName(databaseName, name), mark); ok {
			found = append(found, one)
		}
		last = name
		n++
	}, listSchemas, after, listPage)
	if n < listPage {
		last = ""
	}
	return found, last, err
}

// forEachRow calls row with the rows of a query for two texts. It calls reset before each run of the query.
func (e *Engine) forEachRow(
	ctx context.Context, databaseName string, reset func(), row func(a, b string), query string, args ...any,
) error {
	return e.on(ctx, databaseName, func(ctx context.Context, db *sql.DB) error {
		reset()
		ctx, cancel := context.WithTimeout(ctx, e.config.RequestTimeout)
		defer cancel()
		if err := engine.CheckDeadline(ctx); err != nil {
			return err
		}
		rows, err := db.QueryContext(ctx, query, args...)
		if err != nil {
			return err
		}
		defer func() { _ = rows.Close() }()
		for rows.Next() {
			var a, b string
			if err := rows.Scan(&a, &b); err != nil {
				return err
			}
			row(a, b)
		}
		return rows.Err()
	})
}

// CountUnreadableMarks implements engine.RDB. With own databases it reads the marks of these, and not of the schemas in them.
func (e *Engine) CountUnreadableMarks(ctx context.Context) (n int, err error) {
	m, err := e.loadMarks(ctx)
	if err != nil {
		return 0, err
	}
	query, args := listSchemas, []any{"", math.MaxInt32}
	if e.names.ownDatabase {
		query, args = allDatabases, nil
	}
	count := func(_, mark string) {
		if m.isUnreadable(mark) {
			n++
		}
	}
	err = e.forEachRow(ctx, "", func() { n = 0 }, count, query, args...)
	return n, err
}

const allDatabases = `SELECT d.datname, COALESCE(shobj_description(d.oid, 'pg_database'), '') FROM pg_database d
WHERE d.datallowconn ORDER BY d.datname`

// databases lists the databases in which users of this platform may have schemas: those with its mark, and those of an
// earlier release, which are identified by their names.
func (e *Engine) databases(ctx context.Context) (all []string, err error) {
	if !e.names.ownDatabase {
		return []string{""}, nil
	}
	err = e.forEachRow(ctx, "", func() { all = nil }, func(name, mark string) {
		switch text, isMarked := strings.CutPrefix(mark, markPrefix); {
		case isMarked && strings.HasPrefix(text, e.platform+" "), !isMarked && strings.HasPrefix(name, e.names.database.Head()):
			all = append(all, name)
		}
	}, allDatabases)
	return all, err
}

const findSchemas = `SELECT n.nspname, obj_description(n.oid, 'pg_namespace') FROM pg_namespace n
WHERE obj_description(n.oid, 'pg_namespace') = ANY($1::TEXT[]) ORDER BY n.nspname`

// Find implements engine.RDB.
func (e *Engine) Find(ctx context.Context, tenantNames engine.TenantNames, r engine.Resource) (name string, err error) {
	isOpen, err := e.allowsConnections(ctx, tenantNames.Database)
	if err != nil || !isOpen {
		return "", err
	}
	m, err := e.loadMarks(ctx)
	if err != nil {
		return "", err
	}
	wanted, otherName := []string{m.mark(ownerText(r)), m.unencryptedMark(ownerText(r)), markPrefix + ownerText(r)}, false
	err = e.forEachRow(ctx, tenantNames.Database, func() { name, otherName = "", false }, func(found, mark string) {
		found = qualifiedName(tenantNames.Database, found)
		switch {
		case m.ownerOf(mark, ownerText(r)) != unowned, name == "" && found == e.Name(r):
			name = found
		default:
			otherName = true
		}
	}, findSchemas, database.Array(wanted))
	if isMissing(err) { // the database is missing
		return "", nil
	}
	if err == nil && name == "" && otherName {
		return "", fmt.Errorf("%w: a schema", engine.ErrOtherName)
	}
	return name, err
}

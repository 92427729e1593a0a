package rdb

import (
	"context"
	"database/sql"
	"fmt"
	"maps"
	"slices"
	"time"

	"app238.com/inner/app/database"
	"app238.com/inner/modules/combinator/internal/engine"
)

// Sizes implements engine.RDB.
func (e *Engine) Sizes(ctx context.Context) (sizes []engine.Size, missed int, err error) {
	d, err := e.getDialect(ctx)
	if err != nil {
		return nil, 0, err
	}
	databases, err := e.databases(ctx)
	if err != nil {
		return nil, 0, err
	}
	for _, name := range databases {
		found, locked, err := e.measure(ctx, d, name)
		missed += locked
		switch {
		case database.IsForbidden(err):
			e.sizesForbiddenLogged.Do(func() {
				e.log.Warn("sizes of schemas not permitted by the rdb engine; see allow_unsafe_internals in docs/databases.md")
			})
			return nil, 0, fmt.Errorf("%w: %w", engine.ErrForbidden, err)
		case err != nil && (ctx.Err() != nil || name == ""):
			return sizes, missed, err
		case err != nil:
			missed++ // this database hangs or was dropped; the others are measured
			continue
		}
		for schema, bytes := range found {
			sizes = append(sizes, engine.Size{Name: qualifiedName(name, schema), Bytes: bytes})
		}
	}
	return sizes, missed, nil
}

// measure measures the schemas of a database, and counts those that it did not measure: those with a locked table, which may
// stay locked for any time and is not waited for, and those with so many tables that measuring them times out. All others are
// measured before those.
func (e *Engine) measure(ctx context.Context, d *dialect, databaseName string) (sizes map[string]int64, missed int, err error) {
	limit := e.config.RequestTimeout
	if databaseName != "" { // one user's
		limit = min(limit, maxPartialDuration)
	}
	sizes, err = e.queryNumbersWithin(ctx, databaseName, limit, d.withLockTimeout(shortLockTimeout)+d.sizes)
	if d.sizesOf == nil || !database.IsLocked(err) && (databaseName != "" || !database.IsStatementTimeout(err)) {
		return sizes, 0, err
	}
	var names []string
	add := func(name, _ string) { names = append(names, name) }
	err = e.forEachRow(ctx, databaseName, func() { names = nil }, add, measuredSchemas)
	if err != nil {
		return nil, 0, err
	}
	sizes = map[string]int64{}
	for chunk := range slices.Chunk(names, listPage) {
		var locked int
		locked, err = e.measureInParts(ctx, d, databaseName, chunk, sizes)
		missed += locked
		if err != nil {
			break
		}
	}
	if database.IsStatementTimeout(err) && ctx.Err() == nil { // the remaining schemas are at least as large
		return sizes, len(names) - len(sizes), nil
	}
	return sizes, missed, err
}

// maxPartialDuration bounds a query for the sizes of a part of the schemas, or of those of one user: thousands of tables take
// a second.
const maxPartialDuration = 10 * time.Second

// queryNumbersWithin is queryNumbers with a time limit.
func (e *Engine) queryNumbersWithin(
	ctx context.Context, databaseName string, limit time.Duration, query string,
) (map[string]int64, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	return e.queryNumbers(ctx, databaseName, query)
}

// measuredSchemas lists the schemas in ascending order of their numbers of relations, an estimate of what measuring costs.
const measuredSchemas = `SELECT n.nspname, '' FROM pg_namespace n LEFT JOIN pg_class c ON c.relnamespace = n.oid
WHERE substr(n.nspname, 1, 3) <> 'pg_' GROUP BY n.nspname ORDER BY count(c.oid), n.nspname`

// measureInParts adds the sizes of some schemas to sizes, in halves when one of them is locked or the query times out, and
// returns how many are locked. It ends with the first schema that times out alone.
func (e *Engine) measureInParts(
	ctx context.Context, d *dialect, databaseName string, schemas []string, sizes map[string]int64,
) (locked int, err error) {
	limit := min(e.config.RequestTimeout, maxPartialDuration)
	found, err := e.queryNumbersWithin(ctx, databaseName, limit, d.withLockTimeout(shortLockTimeout)+d.sizesOf(schemas))
	switch {
	case !database.IsLocked(err) && (!database.IsStatementTimeout(err) || len(schemas) == 1):
		maps.Copy(sizes, found)
		return 0, err
	case len(schemas) == 1:
		return 1, nil
	}
	for half := range slices.Chunk(schemas, (len(schemas)+1)/2) {
		n, err := e.measureInParts(ctx, d, databaseName, half, sizes)
		locked += n
		if err != nil {
			return locked, err
		}
	}
	return locked, nil
}

// queryNumbers runs a query for names and numbers in a database.
func (e *Engine) queryNumbers(ctx context.Context, databaseName, query string) (all map[string]int64, err error) {
	err = e.on(ctx, databaseName, func(ctx context.Context, db *sql.DB) error {
		all = map[string]int64{}
		ctx, cancel := context.WithTimeout(ctx, e.config.RequestTimeout)
		defer cancel()
		if err := engine.CheckDeadline(ctx); err != nil {
			return err
		}
		rows, err := db.QueryContext(ctx, query)
		if err != nil {
			return err
		}
		defer func() { _ = rows.Close() }()
		for rows.Next() {
			var name string
			var number int64
			if err := rows.Scan(&name, &number); err != nil {
				return err
			}
			all[name] = number
		}
		return rows.Err()
	})
	return all, err
}

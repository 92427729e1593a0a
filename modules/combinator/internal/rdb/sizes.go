package rdb

import (
	"context"
	"database/sql"
	"fmt"
	"maps"
	"slices"

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

// measure measures the schemas of a database, and counts those with a locked table, which may stay locked for any time and
// are not waited for.
func (e *Engine) measure(ctx context.Context, d *dialect, databaseName string) (sizes map[string]int64, locked int, err error) {
	sizes, err = e.queryNumbers(ctx, databaseName, d.withLockTimeout(shortLockTimeout)+d.sizes)
	if !database.IsLocked(err) || d.sizesOf == nil {
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
		n, err := e.measureUnlocked(ctx, d, databaseName, chunk, sizes)
		if err != nil {
			return nil, 0, err
		}
		locked += n
	}
	return sizes, locked, nil
}

const measuredSchemas = `SELECT n.nspname, '' FROM pg_namespace n WHERE substr(n.nspname, 1, 3) <> 'pg_' ORDER BY n.nspname`

// measureUnlocked adds the sizes of some schemas to sizes, in halves when one of them is locked, and returns the number of
// locked ones.
func (e *Engine) measureUnlocked(
	ctx context.Context, d *dialect, databaseName string, schemas []string, sizes map[string]int64,
) (locked int, err error) {
	found, err := e.queryNumbers(ctx, databaseName, d.withLockTimeout(shortLockTimeout)+d.sizesOf(schemas))
	switch {
	case !database.IsLocked(err):
		maps.Copy(sizes, found)
		return 0, err
	case len(schemas) == 1:
		return 1, nil
	}
	for half := range slices.Chunk(schemas, (len(schemas)+1)/2) {
		n, err := e.measureUnlocked(ctx, d, databaseName, half, sizes)
		if err != nil {
			return 0, err
		}
		locked += n
	}
	return locked, nil
}

// queryNumbers runs a query for names and numbers in a database.
func (e *Engine) queryNumbers(ctx context.Context, databaseName, query string) (all map[string]int64, err error) {
	err = e.on(ctx, databaseName, func(ctx context.Context, db *sql.DB) error {
		all = map[string]int64{}
		ctx, cancel := context.WithTimeout(ctx, e.config.RequestTimeout)
		defer cancel()
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

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
	d, err := e.speaks(ctx)
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
			e.closed.Do(func() {
				e.log.Warn("the rdb engine keeps the sizes of schemas to itself: they are unknown; see allow_unsafe_internals in docs/databases.md")
			})
			return nil, 0, fmt.Errorf("%w: %w", engine.ErrClosed, err)
		case err != nil && (ctx.Err() != nil || name == ""):
			return sizes, missed, err
		case err != nil:
			missed++ // that one hangs or was dropped: the others have their sizes
			continue
		}
		for schema, bytes := range found {
			sizes = append(sizes, engine.Size{Name: join(name, schema), Bytes: bytes})
		}
	}
	return sizes, missed, nil
}

// measure measures the schemas of a database, and counts those that it has not: somebody holds a table, for as long as he likes, and
// so without a wait for it, or there is so much in it that it takes too long. Others are measured before those.
func (e *Engine) measure(ctx context.Context, d *dialect, databaseName string) (sizes map[string]int64, missed int, err error) {
	limit := e.config.RequestTimeout
	if databaseName != "" { // it is one user's
		limit = min(limit, apartLimit)
	}
	sizes, err = e.sizesWithin(ctx, databaseName, limit, d.waits(quickWait)+d.sizes)
	if d.sizesOf == nil || !database.IsLocked(err) && (databaseName != "" || !database.IsOutOfTime(err)) {
		return sizes, 0, err
	}
	var names []string
	err = e.each(ctx, databaseName, func() { names = nil }, func(name, _ string) { names = append(names, name) }, measuredSchemas)
	if err != nil {
		return nil, 0, err
	}
	sizes = map[string]int64{}
	for chunk := range slices.Chunk(names, listPage) {
		var locked int
		locked, err = e.measureApart(ctx, d, databaseName, chunk, sizes)
		missed += locked
		if err != nil {
			break
		}
	}
	if database.IsOutOfTime(err) && ctx.Err() == nil { // the rest is as large
		return sizes, len(names) - len(sizes), nil
	}
	return sizes, missed, err
}

// apartLimit bounds a query for the sizes of a part of the schemas, or of those of one user: thousands of tables take a second.
const apartLimit = 10 * time.Second

func (e *Engine) sizesWithin(ctx context.Context, databaseName string, limit time.Duration, query string) (map[string]int64, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	return e.pairs(ctx, databaseName, query)
}

// measuredSchemas come with the smallest first, as far as that is told by the number of their relations.
const measuredSchemas = `SELECT n.nspname, '' FROM pg_namespace n LEFT JOIN pg_class c ON c.relnamespace = n.oid
WHERE substr(n.nspname, 1, 3) <> 'pg_' GROUP BY n.nspname ORDER BY count(c.oid), n.nspname`

// measureApart adds some schemas to sizes, in halves where one of them is locked or takes too long, and returns how many are locked. It
// ends with the first schema that takes too long by itself.
func (e *Engine) measureApart(ctx context.Context, d *dialect, databaseName string, schemas []string, sizes map[string]int64) (locked int, err error) {
	found, err := e.sizesWithin(ctx, databaseName, min(e.config.RequestTimeout, apartLimit), d.waits(quickWait)+d.sizesOf(schemas))
	switch {
	case !database.IsLocked(err) && (!database.IsOutOfTime(err) || len(schemas) == 1):
		maps.Copy(sizes, found)
		return 0, err
	case len(schemas) == 1:
		return 1, nil
	}
	for half := range slices.Chunk(schemas, (len(schemas)+1)/2) {
		n, err := e.measureApart(ctx, d, databaseName, half, sizes)
		locked += n
		if err != nil {
			return locked, err
		}
	}
	return locked, nil
}

// pairs runs a query for names and numbers about the schemas of a database.
func (e *Engine) pairs(ctx context.Context, databaseName, query string) (all map[string]int64, err error) {
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

package rdb

import (
	"context"
	"database/sql"
	"fmt"

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
		found, err := e.pairs(ctx, name, d.sizes)
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

package rdb

import (
	"context"
	"database/sql"

	"app238.com/inner/modules/combinator/internal/engine"
)

// userDatabases are the databases whose names begin as users' own ones do.
const userDatabases = `SELECT datname FROM pg_database WHERE substr(datname, 1, length($1::TEXT)) = $1 ORDER BY datname`

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
		if err != nil {
			if ctx.Err() != nil || name == "" {
				return sizes, missed, err
			}
			missed++ // that one hangs or was dropped: the others have their sizes
			continue
		}
		for schema, bytes := range found {
			if name != "" {
				schema = name + "." + schema
			}
			sizes = append(sizes, engine.Size{Name: schema, Bytes: bytes})
		}
	}
	return sizes, missed, nil
}

// databases lists those in which users have schemas.
func (e *Engine) databases(ctx context.Context) ([]string, error) {
	if !e.names.ownDatabase {
		return []string{""}, nil
	}
	return e.column(ctx, "", userDatabases, e.names.database.Head())
}

// column returns the first column of what a query gives.
func (e *Engine) column(ctx context.Context, databaseName, query string, args ...any) (all []string, err error) {
	err = e.on(ctx, databaseName, func(ctx context.Context, db *sql.DB) error {
		all = nil
		ctx, cancel := context.WithTimeout(ctx, e.config.RequestTimeout)
		defer cancel()
		rows, err := db.QueryContext(ctx, query, args...)
		if err != nil {
			return err
		}
		defer func() { _ = rows.Close() }()
		for rows.Next() {
			var name string
			if err := rows.Scan(&name); err != nil {
				return err
			}
			all = append(all, name)
		}
		return rows.Err()
	})
	return all, err
}

// pairs runs a query for names and numbers about the schemas of a database.
func (e *Engine) pairs(ctx context.Context, databaseName, query string) (all map[string]int64, err error) {
	err = e.on(ctx, databaseName, func(ctx context.Context, db *sql.DB) error {
		all = map[string]int64{}
		ctx, cancel := context.WithTimeout(ctx, e.config.RequestTimeout)
		defer cancel()
		rows, err := db.QueryContext(ctx, query, e.names.schema.Head())
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

package rdb

import (
	"context"
	"database/sql"

	"app238.com/inner/modules/combinator/internal/engine"
)

// listPage is the most schemas that one statement returns.
const listPage = 500

const listSchemas = `SELECT n.nspname, COALESCE(obj_description(n.oid, 'pg_namespace'), '') FROM pg_namespace n
WHERE substr(n.nspname, 1, length($1::TEXT)) = $1 AND n.nspname > $2 ORDER BY n.nspname LIMIT $3`

// List implements engine.RDB.
func (e *Engine) List(ctx context.Context, page func([]engine.Resource) error) error {
	databases, err := e.databases(ctx)
	if err != nil {
		return err
	}
	for _, name := range databases {
		for after := ""; ; {
			found, last, err := e.listFrom(ctx, name, after)
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

// listFrom returns Inner's schemas of the page that follows a name, and the last name of that page; "" after the last.
func (e *Engine) listFrom(ctx context.Context, databaseName, after string) (found []engine.Resource, last string, err error) {
	err = e.on(ctx, databaseName, func(ctx context.Context, db *sql.DB) error {
		ctx, cancel := context.WithTimeout(ctx, e.config.RequestTimeout)
		defer cancel()
		rows, err := db.QueryContext(ctx, listSchemas, e.names.schema.Head(), after, listPage)
		if err != nil {
			return err
		}
		defer func() { _ = rows.Close() }()
		found, last = nil, ""
		n := 0
		for rows.Next() {
			var name, mark string
			if err := rows.Scan(&name, &mark); err != nil {
				return err
			}
			if r, ok := e.made(databaseName, name, mark); ok {
				found = append(found, r)
			}
			last = name
			n++
		}
		if n < listPage {
			last = ""
		}
		return rows.Err()
	})
	return found, last, err
}

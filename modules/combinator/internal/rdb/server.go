package rdb

import (
	"context"
	"database/sql"
	"fmt"

	"app238.com/inner/app/database"
)

// openDatabases are those that everybody may connect to.
const openDatabases = `SELECT d.datname, '' FROM pg_database d
WHERE d.datallowconn AND has_database_privilege('public', d.oid, 'CONNECT') ORDER BY d.datname`

// OpenDatabases implements engine.RDB.
func (e *Engine) OpenDatabases(ctx context.Context) (names []string, err error) {
	err = e.each(ctx, "", func() { names = nil }, func(name, _ string) { names = append(names, name) }, openDatabases)
	return names, err
}

// closeServer keeps everybody out of the databases that a server comes with, where users' roles have no business. Those of others are
// their owners', and where Inner has no right on one, that is the operator's to do: OpenDatabases tells.
func (e *Engine) closeServer(ctx context.Context, d *dialect) error {
	open, err := e.OpenDatabases(ctx)
	if err != nil {
		return err
	}
	for _, name := range open {
		if !d.maintenance[name] {
			continue
		}
		// Without a look into it: while somebody is in template1, others get no database.
		err := e.on(ctx, "", func(ctx context.Context, db *sql.DB) error {
			return e.exec(ctx, db, fmt.Sprintf(`%sREVOKE CONNECT ON DATABASE %s FROM PUBLIC`, d.waits(quickWait), database.Quote(name)))
		})
		if err != nil && !missing(err) && !database.IsForbidden(err) {
			return err
		}
	}
	return nil
}

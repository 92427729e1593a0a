package rdb

import (
	"context"
	"database/sql"
	"fmt"

	"app238.com/inner/app/database"
)

// What PostgreSQL says of sessions: the process, and the name of the role, which is empty for the server's own processes.
const (
	// sessionsHolding are those that hold, or wait for, a schema or a relation in it.
	// A transaction that was prepared has no session, and is nobody's here.
	sessionsHolding = `SELECT DISTINCT COALESCE(l.pid::TEXT, ''), CASE WHEN l.pid IS NULL THEN '?' ELSE COALESCE(a.usename, '') END
FROM pg_namespace n JOIN pg_catalog.pg_locks l ON l.relation IN (SELECT c.oid FROM pg_class c WHERE c.relnamespace = n.oid)
    OR l.classid = 'pg_catalog.pg_namespace'::REGCLASS AND l.objid = n.oid
LEFT JOIN pg_stat_activity a ON a.pid = l.pid
WHERE n.nspname = $1 AND l.pid IS DISTINCT FROM pg_backend_pid() AND l.database = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database())`
	// sessionsWriting are those of a role that have changed something and not ended their transaction.
	sessionsWriting = `SELECT a.pid::TEXT, a.usename FROM pg_catalog.pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid
WHERE l.locktype = 'transactionid' AND l.mode = 'ExclusiveLock' AND a.usename = $1`
	// sessionsIn are those in a database. Autovacuum gives way by itself.
	sessionsIn = `SELECT a.pid::TEXT, a.usename FROM pg_stat_activity a
WHERE a.datname = $1 AND a.usename IS NOT NULL AND a.pid <> pg_backend_pid()`
	// sessionsInTemplate are those of users' roles, of whatever platform, where every new database is copied from.
	sessionsInTemplate = `SELECT a.pid::TEXT, a.usename FROM pg_stat_activity a JOIN pg_roles r ON r.rolname = a.usename
WHERE a.datname = 'template1' AND substr(shobj_description(r.oid, 'pg_authid'), 1, length('` + marked + `')) = '` + marked + `'`
)

// session is one of the server's. The role is empty where it is the server's own.
type session struct{ pid, role string }

// sessions returns what one of the queries for sessions finds, asked in a database.
func (e *Engine) sessions(ctx context.Context, databaseName, query string, args ...any) (all []session, err error) {
	err = e.each(ctx, databaseName, func() { all = nil }, func(pid, role string) { all = append(all, session{pid, role}) }, query, args...)
	return all, err
}

// end ends a session. It returns false where Inner may not: that takes a superuser for those of superusers, and the rights of
// pg_signal_backend for all others.
func (e *Engine) end(ctx context.Context, s session) (bool, error) {
	err := e.on(ctx, "", func(ctx context.Context, db *sql.DB) error {
		return e.exec(ctx, db, `SELECT pg_terminate_backend($1::INT)`, s.pid)
	})
	if database.IsForbidden(err) {
		return false, nil
	}
	return err == nil, err
}

// endThose ends those sessions that are a role's. It returns false where there are others than these and the server's own, or
// Inner may not end one.
func (e *Engine) endThose(ctx context.Context, all []session, role string) (bool, error) {
	areEnded := true
	for _, one := range all {
		switch one.role {
		case "":
		case role:
			ended, err := e.end(ctx, one)
			if err != nil {
				return false, err
			}
			areEnded = areEnded && ended
		default:
			areEnded = false
		}
	}
	return areEnded, nil
}

// free takes the user's rights on a schema that is to be dropped away and ends the user's sessions that hold something of it, which
// may be for ever. It tells whether a wait for the others is short: those are the server's own, which give way to whoever waits.
func (e *Engine) free(ctx context.Context, d *dialect, role string, s schema) (bool, error) {
	if d.holding == "" {
		return false, nil
	}
	if role != "" {
		err := e.on(ctx, s.database, func(ctx context.Context, db *sql.DB) error {
			return e.exec(ctx, db, fmt.Sprintf(`%s; REVOKE ALL ON SCHEMA %s FROM %s`, e.unlessForeign(s), database.Quote(s.name), database.Quote(role)))
		})
		if err != nil && !missing(err) { // who has no role any more has no session either
			return false, err
		}
	}
	holders, err := e.sessions(ctx, s.database, d.holding, s.name)
	if err != nil {
		return false, err
	}
	return e.endThose(ctx, holders, role)
}

// freeRole ends the user's sessions that may hold up a change of the user's role. It tells whether a wait for the lock is short.
func (e *Engine) freeRole(ctx context.Context, d *dialect, role string) (bool, error) {
	if d.writing == "" {
		return false, nil
	}
	writing, err := e.sessions(ctx, "", d.writing, role)
	if err != nil {
		return false, err
	}
	return e.endThose(ctx, writing, role)
}

// freeTemplate keeps users out of the database that every new one is a copy of: while anybody is in it, nobody gets one.
func (e *Engine) freeTemplate(ctx context.Context, d *dialect) error {
	if d.inTemplate == "" {
		return nil
	}
	err := e.on(ctx, "", func(ctx context.Context, db *sql.DB) error {
		return e.exec(ctx, db, `REVOKE CONNECT ON DATABASE template1 FROM PUBLIC`)
	})
	if err != nil && !database.IsForbidden(err) { // where the server is not Inner's, it is the operator's to do
		return err
	}
	users, err := e.sessions(ctx, "", d.inTemplate)
	if err != nil {
		return err
	}
	for _, one := range users {
		if _, err := e.end(ctx, one); err != nil {
			return err
		}
	}
	return nil
}

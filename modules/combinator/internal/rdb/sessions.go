package rdb

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"slices"
	"time"

	"app238.com/inner/app/database"
	"app238.com/inner/modules/combinator/internal/engine"
)

// What PostgreSQL says of sessions: the process, and the name of the role, which is empty for the server's own processes.
const (
	// sessionsHolding are those that hold, or wait for, a schema, a relation in it or anything else that it holds.
	// A transaction that was prepared has no session, and is nobody's here.
	sessionsHolding = `SELECT DISTINCT COALESCE(l.pid::TEXT, ''), CASE WHEN l.pid IS NULL THEN '?' ELSE COALESCE(a.usename, '') END
FROM pg_namespace n JOIN pg_catalog.pg_locks l ON l.relation IN (SELECT c.oid FROM pg_class c WHERE c.relnamespace = n.oid)
    OR l.classid = 'pg_catalog.pg_namespace'::REGCLASS AND l.objid = n.oid
    OR (l.classid, l.objid) IN (SELECT d.classid, d.objid FROM pg_depend d WHERE ` + inSchema + ` AND d.refobjid = n.oid)
LEFT JOIN pg_stat_activity a ON a.pid = l.pid
WHERE n.nspname = $1 AND l.pid IS DISTINCT FROM pg_backend_pid() AND l.database = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database())`
	// sessionsWriting are those of a role that have changed something and not ended their transaction.
	sessionsWriting = `SELECT a.pid::TEXT, a.usename FROM pg_catalog.pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid
WHERE l.locktype = 'transactionid' AND l.mode = 'ExclusiveLock' AND a.usename = $1`
	// sessionsIn are those in a database. Autovacuum gives way by itself.
	sessionsIn = `SELECT a.pid::TEXT, a.usename FROM pg_stat_activity a
WHERE a.datname = $1 AND a.usename IS NOT NULL AND a.pid <> pg_backend_pid()`
	// sessionsOf are those of a role, in all databases.
	sessionsOf = `SELECT a.pid::TEXT, a.usename FROM pg_stat_activity a WHERE a.usename = $1`
)

// endWait is how long the end of a session is waited for: what it holds is free only then.
const endWait = time.Second

// session is one of the server's. The role is empty where it is the server's own.
type session struct{ pid, role string }

// sessions returns what one of the queries for sessions finds, asked in a database.
func (e *Engine) sessions(ctx context.Context, databaseName, query string, args ...any) (all []session, err error) {
	err = e.each(ctx, databaseName, func() { all = nil }, func(pid, role string) { all = append(all, session{pid, role}) }, query, args...)
	return all, err
}

// end ends a session. It returns false where Inner may not: that takes a superuser for those of superusers, and for all others the
// rights of pg_signal_backend or of their role.
func (e *Engine) end(ctx context.Context, s session) (bool, error) {
	err := e.asMember(ctx, s.role, func() error {
		return e.on(ctx, "", func(ctx context.Context, db *sql.DB) error {
			return e.exec(ctx, db, `SELECT pg_terminate_backend($1::INT, $2)`, s.pid, endWait.Milliseconds())
		})
	})
	if database.IsForbidden(err) {
		return false, nil
	}
	return err == nil, err
}

// asMember runs work, and again as a member of the user's role where it is forbidden otherwise: who may make roles and is no
// superuser may become one.
func (e *Engine) asMember(ctx context.Context, role string, work func() error) error {
	err := work()
	if !database.IsForbidden(err) {
		return err
	}
	failure := e.on(ctx, "", func(ctx context.Context, db *sql.DB) error {
		return e.exec(ctx, db, fmt.Sprintf(`GRANT %s TO CURRENT_USER`, database.Quote(role)))
	})
	switch {
	case database.IsForbidden(failure):
		return err
	case failure != nil:
		return failure
	}
	return work()
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
// may be for ever. Where they come again, the role is kept out until its next reconciliation (see Strayed). It returns for how long
// the lock is waited for next, 0 where others hold it: the server's own sessions give way to whoever waits.
func (e *Engine) free(ctx context.Context, d *dialect, role string, s schema, again bool) (wait time.Duration, err error) {
	if d.holding == "" {
		return 0, nil
	}
	if role != "" {
		m, err := e.marks(ctx)
		if err != nil {
			return 0, err
		}
		err = e.on(ctx, s.database, func(ctx context.Context, db *sql.DB) error {
			return e.exec(ctx, db, fmt.Sprintf(`%s; REVOKE ALL ON SCHEMA %s FROM %s`, unlessForeign(m, s), database.Quote(s.name), database.Quote(role)))
		})
		if err != nil && !missing(err) { // who has no role any more has no session either
			return 0, err
		}
	}
	holders, err := e.sessions(ctx, s.database, d.holding, s.name)
	if err != nil {
		return 0, err
	}
	isFree, err := e.endThose(ctx, holders, role)
	isUsers := slices.ContainsFunc(holders, func(one session) bool { return role != "" && one.role == role })
	switch {
	case err != nil || !isFree:
		return 0, err
	case isUsers && again:
		return quickWait, e.expel(ctx, d, role)
	case isUsers:
		return quickWait, nil
	}
	return e.config.LockTimeout, nil
}

// expel keeps the user's role from logging in and ends its sessions.
func (e *Engine) expel(ctx context.Context, d *dialect, role string) error {
	err := e.pastHolders(ctx, d, role, func() error {
		return e.on(ctx, "", func(ctx context.Context, db *sql.DB) error {
			return e.exec(ctx, db, fmt.Sprintf(`%sALTER ROLE %s WITH NOLOGIN`, d.waits(quickWait), database.Quote(role)))
		})
	})
	if err != nil || d.of == "" {
		return err
	}
	all, err := e.sessions(ctx, "", d.of, role)
	if err != nil {
		return err
	}
	areEnded, err := e.endThose(ctx, all, role)
	if err == nil && !areEnded {
		return fmt.Errorf("%w: sessions of %s", engine.ErrBusy, role)
	}
	return err
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

// pastHolders runs work that waits for locks for a moment only, and where it met one again, once the sessions of the user's role that
// may hold it are ended.
func (e *Engine) pastHolders(ctx context.Context, d *dialect, role string, work func() error) error {
	err := work()
	if !database.IsLocked(err) {
		return err
	}
	if isFree, failure := e.freeRole(ctx, d, role); failure != nil || !isFree {
		return cmp.Or(failure, err)
	}
	return work()
}

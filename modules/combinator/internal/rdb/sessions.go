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

// Queries for sessions: the process id, and the name of the role, which is empty for the server's own processes.
const (
	// sessionsHolding finds the sessions that hold, or wait for, a lock on a schema, a relation in it or any other object in
	// it. A prepared transaction has no session and no role here.
	sessionsHolding = `SELECT DISTINCT COALESCE(l.pid::TEXT, ''), CASE WHEN l.pid IS NULL THEN '?' ELSE COALESCE(a.usename, '') END
FROM pg_namespace n JOIN pg_catalog.pg_locks l ON l.relation IN (SELECT c.oid FROM pg_class c WHERE c.relnamespace = n.oid)
    OR l.classid = 'pg_catalog.pg_namespace'::REGCLASS AND l.objid = n.oid
    OR (l.classid, l.objid) IN (SELECT d.classid, d.objid FROM pg_depend d WHERE ` + inSchema + ` AND d.refobjid = n.oid)
LEFT JOIN pg_stat_activity a ON a.pid = l.pid
WHERE n.nspname = $1 AND l.pid IS DISTINCT FROM pg_backend_pid() AND l.database = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database())`
	// sessionsWriting finds the sessions of a role with an open transaction that has written.
	sessionsWriting = `SELECT a.pid::TEXT, a.usename FROM pg_catalog.pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid
WHERE l.locktype = 'transactionid' AND l.mode = 'ExclusiveLock' AND a.usename = $1`
	// sessionsIn finds the sessions in a database. Autovacuum yields by itself.
	sessionsIn = `SELECT a.pid::TEXT, a.usename FROM pg_stat_activity a
WHERE a.datname = $1 AND a.usename IS NOT NULL AND a.pid <> pg_backend_pid()`
	// sessionsOf finds the sessions of a role in all databases.
	sessionsOf = `SELECT a.pid::TEXT, a.usename FROM pg_stat_activity a WHERE a.usename = $1`
)

// terminateTimeout bounds the wait for the end of a session: its locks are released only then.
const terminateTimeout = time.Second

// session is a session of the server. The role is empty for the server's own processes.
type session struct{ pid, role string }

// sessions runs one of the queries for sessions in a database.
func (e *Engine) sessions(ctx context.Context, databaseName, query string, args ...any) (all []session, err error) {
	add := func(pid, role string) { all = append(all, session{pid, role}) }
	err = e.forEachRow(ctx, databaseName, func() { all = nil }, add, query, args...)
	return all, err
}

// terminate terminates a session. It returns false when Inner may not: sessions of superusers need a superuser, all others
// the rights of pg_signal_backend or of their role.
func (e *Engine) terminate(ctx context.Context, s session) (bool, error) {
	err := e.asMember(ctx, s.role, func() error {
		return e.on(ctx, "", func(ctx context.Context, db *sql.DB) error {
			return e.exec(ctx, db, `SELECT pg_terminate_backend($1::INT, $2)`, s.pid, terminateTimeout.Milliseconds())
		})
	})
	if database.IsForbidden(err) {
		return false, nil
	}
	return err == nil, err
}

// asMember runs work and, when it is forbidden, once more as a member of the user's role: a role that may create roles and
// is no superuser may join them.
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

// terminateSessions terminates the sessions of a role. It returns false when there are sessions of other roles, other than
// the server's own, or Inner may not terminate one.
func (e *Engine) terminateSessions(ctx context.Context, all []session, role string) (bool, error) {
	allEnded := true
	for _, one := range all {
		switch one.role {
		case "":
		case role:
			ended, err := e.terminate(ctx, one)
			if err != nil {
				return false, err
			}
			allEnded = allEnded && ended
		default:
			allEnded = false
		}
	}
	return allEnded, nil
}

// releaseLocks revokes the user's rights on a schema that is to be dropped and terminates the user's sessions that hold
// locks on it, which may be held forever. With again it also disables the role's login until its next preparation (see
// ListDrifted). It returns the next lock timeout, 0 when others hold the locks: the server's own sessions yield to waiting
// ones.
func (e *Engine) releaseLocks(
	ctx context.Context, d *dialect, role string, s schema, again bool,
) (wait time.Duration, err error) {
	if d.sessionsHolding == "" {
		return 0, nil
	}
	if role != "" {
		m, err := e.loadMarks(ctx)
		if err != nil {
			return 0, err
		}
		err = e.on(ctx, s.database, func(ctx context.Context, db *sql.DB) error {
			return e.exec(ctx, db, fmt.Sprintf(`%s; REVOKE ALL ON SCHEMA %s FROM %s`,
				assertNotOther(m, s), database.Quote(s.name), database.Quote(role)))
		})
		if err != nil && !isMissing(err) { // a missing role has no sessions
			return 0, err
		}
	}
	holders, err := e.sessions(ctx, s.database, d.sessionsHolding, s.name)
	if err != nil {
		return 0, err
	}
	isFree, err := e.terminateSessions(ctx, holders, role)
	isUsers := slices.ContainsFunc(holders, func(one session) bool { return role != "" && one.role == role })
	switch {
	case err != nil || !isFree:
		return 0, err
	case isUsers && again:
		return shortLockTimeout, e.disableLogin(ctx, d, role)
	case isUsers:
		return shortLockTimeout, nil
	}
	return e.config.LockTimeout, nil
}

// disableLogin disables the login of the user's role and terminates its sessions.
func (e *Engine) disableLogin(ctx context.Context, d *dialect, role string) error {
	err := e.retryAfterRelease(ctx, d, role, func() error {
		return e.on(ctx, "", func(ctx context.Context, db *sql.DB) error {
			return e.exec(ctx, db, fmt.Sprintf(`%sALTER ROLE %s WITH NOLOGIN`, d.withLockTimeout(shortLockTimeout), database.Quote(role)))
		})
	})
	if err != nil || d.sessionsOf == "" {
		return err
	}
	all, err := e.sessions(ctx, "", d.sessionsOf, role)
	if err != nil {
		return err
	}
	allEnded, err := e.terminateSessions(ctx, all, role)
	if err == nil && !allEnded {
		return fmt.Errorf("%w: sessions of %s", engine.ErrBusy, role)
	}
	return err
}

// releaseRoleLocks terminates the user's sessions that may block a change of the user's role. It reports whether a wait for
// the lock is short.
func (e *Engine) releaseRoleLocks(ctx context.Context, d *dialect, role string) (bool, error) {
	if d.sessionsWriting == "" {
		return false, nil
	}
	writing, err := e.sessions(ctx, "", d.sessionsWriting, role)
	if err != nil {
		return false, err
	}
	return e.terminateSessions(ctx, writing, role)
}

// retryAfterRelease runs work that waits only shortly for locks and, when it met one, once more after the blocking sessions
// of the user's role were terminated.
func (e *Engine) retryAfterRelease(ctx context.Context, d *dialect, role string, work func() error) error {
	err := work()
	if !database.IsLocked(err) {
		return err
	}
	if isFree, failure := e.releaseRoleLocks(ctx, d, role); failure != nil || !isFree {
		return cmp.Or(failure, err)
	}
	return work()
}

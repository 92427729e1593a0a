package database

import (
	"context"
	"database/sql"
	"database/sql/driver"
	_ "embed"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/lib/pq"

	"app238.com/inner/app/database/internal/schema"
)

//go:embed outer.sql
var outerSQL string

//go:embed inner.sql
var innerSQL string

const (
	// lockWait is the lock_timeout of a step, and so the longest time for which it delays other statements.
	lockWait = time.Second
	// lockTimeout bounds the retries of a step while other sessions hold the lock or make the same change.
	lockTimeout = 15 * time.Minute
	// maxRounds bounds how often all steps succeed and something is still missing.
	maxRounds = 5
	// maxDuplicateAttempts bounds the retries of a unique index that duplicate rows violate.
	maxDuplicateAttempts = 5
	// answerTimeout bounds every statement that is not part of a step.
	answerTimeout = 30 * time.Second
	// maxPause is the longest time between two attempts of a step; the shortest is a fifth of it.
	maxPause = 5 * time.Second
)

var errUnresponsive = errors.New("the database does not answer")

// Migration creates every missing table and updates Inner's own tables. It never alters an existing table of Outer's. It reads
// the catalogue and runs only what is missing, each statement on its own and outside of a transaction: it can be killed, run
// again, and run by several processes at once.
type Migration struct {
	// DB opens the connection, which is closed afterwards. Steps have no time limit if the pool opens a new connection; an
	// idle one keeps the pool's limit of statements.
	DB *sql.DB
	// Progress, unless nil, is called before each step and while the migration waits.
	Progress func(text string)
}

// Migrate is Migration.Run without progress.
func Migrate(ctx context.Context, db *sql.DB) error {
	_, err := Migration{DB: db}.Run(ctx)
	return err
}

// Run returns the number of steps that it applied, 0 where nothing was missing. When ctx ends, the running statement is also
// cancelled at the server.
func (m Migration) Run(ctx context.Context) (steps int, err error) {
	declared, err := schema.Parse(outerSQL, innerSQL)
	if err != nil {
		return 0, err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	conn, err := m.DB.Conn(withoutLimit(ctx))
	if err != nil {
		return 0, err
	}
	defer func() {
		// The session's settings must not reach other users of the pool.
		_ = conn.Raw(func(any) error { return driver.ErrBadConn })
		_ = conn.Close()
	}()
	r := &migrationRun{conn: conn, declared: declared, progress: m.Progress, cancel: cancel, lastProgress: time.Now()}
	if r.progress == nil {
		r.progress = func(string) {}
	}
	if err = r.run(ctx); err == nil {
		err = r.ensureIdentity(ctx)
	}
	if errors.Is(context.Cause(ctx), errUnresponsive) {
		err = errUnresponsive
	}
	return r.completed, err
}

// migrationRun is one run on one connection.
type migrationRun struct {
	conn     *sql.Conn
	declared *schema.Schema
	progress func(string)
	cancel   context.CancelCauseFunc // also closes the connection

	postgres     bool
	exclusive    bool // this run holds the migration lock
	completed    int
	lastProgress time.Time // when the last step was completed
}

// run applies steps until nothing is missing. After a failure, such as a conflict with another process, it reads the catalogue
// again before the next attempt.
func (r *migrationRun) run(ctx context.Context) error {
	for rounds, failures := 0, 0; ; {
		steps, err := r.missing(ctx)
		if err != nil || len(steps) == 0 {
			return err
		}
		if !r.exclusive {
			if err := r.begin(ctx); err != nil {
				return err
			}
			continue
		}
		before := r.completed
		failed, err := r.apply(ctx, steps)
		if err == nil {
			if rounds++; rounds > maxRounds {
				return fmt.Errorf("%s: still missing afterwards", steps[0].Text)
			}
			continue
		}
		if failures++; r.completed > before {
			failures = 1
		}
		if err := r.wait(ctx, failed, err, failures); err != nil {
			return err
		}
	}
}

// wait waits before the next attempt of a step, or returns why there is none.
func (r *migrationRun) wait(ctx context.Context, step schema.Step, err error, failures int) error {
	switch {
	case !isTransient(err, step), code(err) == codeUniqueViolation && failures > maxDuplicateAttempts:
		return stepError(err, step)
	case time.Since(r.lastProgress) > lockTimeout:
		return fmt.Errorf("%s: stopped after %s of retries; end the transactions that lock table %s, or wait for them, and migrate "+
			"again: %w",
			step.Text, lockTimeout, step.Table, err)
	case IsLocked(err):
		text := fmt.Sprintf("waiting for a lock on %s, attempt %d", step.Table, failures+1)
		if held := r.lockHolders(ctx, step.Table); len(held) > 0 {
			text += ", held by " + strings.Join(held, ", ")
		}
		r.progress(text)
	default:
		r.progress(fmt.Sprintf("%s: conflict with another session (SQLSTATE %s), attempt %d", step.Text, code(err), failures+1))
	}
	timer := time.NewTimer(min(maxPause, maxPause/5*time.Duration(failures)))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// apply runs steps until one fails, and returns that one.
func (r *migrationRun) apply(ctx context.Context, steps []schema.Step) (schema.Step, error) {
	for _, step := range steps {
		if step.Index == oneTaskPerKey && !step.New {
			if err := r.adoptTasks(ctx); err != nil {
				return step, err
			}
		}
		r.progress(step.Text)
		if err := r.setLockTimeout(ctx, !step.Concurrent); err != nil {
			return step, err
		}
		for _, statement := range step.Statements {
			if _, err := r.conn.ExecContext(ctx, statement); err != nil {
				return step, err
			}
		}
		r.completed, r.lastProgress = r.completed+1, time.Now()
	}
	return schema.Step{}, nil
}

// watchdog closes the connection unless the returned function is called in time. Every statement outside of a step runs under
// it: the connection itself has no limit, and a frozen server does not enforce its own.
func (r *migrationRun) watchdog() (stop func() bool) {
	return time.AfterFunc(answerTimeout, func() { r.cancel(errUnresponsive) }).Stop
}

// ensureIdentity creates the database's id where it is missing.
func (r *migrationRun) ensureIdentity(ctx context.Context) error {
	defer r.watchdog()()
	return ensureIdentity(ctx, r.conn)
}

// setLockTimeout limits the wait for a lock, or removes the limit for a statement that blocks nobody while it waits and would
// have to start again.
func (r *migrationRun) setLockTimeout(ctx context.Context, limited bool) error {
	defer r.watchdog()()
	wait := time.Duration(0)
	if limited {
		wait = lockWait
	}
	_, err := r.conn.ExecContext(ctx, fmt.Sprintf(`SET lock_timeout = %d`, wait.Milliseconds()))
	return err
}

// isTransient tells whether a failed step may succeed, or be unnecessary, a moment later.
func isTransient(err error, step schema.Step) bool {
	pe, ok := errors.AsType[*pq.Error](err)
	if !ok {
		return false
	}
	switch pe.Code {
	case codeLockNotAvailable, codeSerializationFailure, codeDeadlock:
		return true
	case codeDuplicateObject, codeDuplicateSchema, "42P07", "42701":
		return true // another session created it
	case "55000":
		return true // CockroachDB is creating or dropping the same object for another session
	case codeUniqueViolation:
		// A conflict of two sessions in the catalogue, or a task that an earlier release has just written.
		return pe.Schema == "pg_catalog" || step.Index == oneTaskPerKey
	}
	return IsConcurrentChange(err)
}

func stepError(err error, step schema.Step) error {
	if code(err) == codeUniqueViolation && step.Index != "" {
		return fmt.Errorf("%s: table %s holds duplicate rows, which have to be removed by hand: %w", step.Text, step.Table, err)
	}
	return fmt.Errorf("%s: %w", step.Text, err)
}

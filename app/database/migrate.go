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
	// lockWait is how long a step waits for the lock of a table, and so the longest time that it keeps an accept waiting.
	lockWait = time.Second
	// lockPatience bounds how long a step is tried again while others hold the lock, or make the same.
	lockPatience = 15 * time.Minute
	// fruitlessRounds bounds how often all steps succeed and something is missing still.
	fruitlessRounds = 5
	// duplicateAttempts bounds how often a unique index is tried again that rows forbid.
	duplicateAttempts = 5
	// answerTime is what the server gets to answer whatever is not a step's own statement.
	answerTime = 30 * time.Second
	// longestPause is the longest time between two attempts at a step, the shortest is a fifth of it.
	longestPause = 5 * time.Second
)

var errSilent = errors.New("the database does not answer")

// Migration makes every table that is missing and brings Inner's own tables up to date. It never alters a table of Outer's
// that exists. It first reads what is there, and sends only what is missing, each statement alone and in no transaction: it
// may be killed, run again, and run by several processes at once.
type Migration struct {
	// DB opens the connection that is used, which is closed afterwards. A step may take as long as it needs if the pool
	// opens a new one; an idle one keeps the pool's limit for a statement.
	DB *sql.DB
	// Progress is told of each step before it begins, and of what is waited for; nil for nobody.
	Progress func(text string)
}

// Migrate is Migration.Run without anybody who is told.
func Migrate(ctx context.Context, db *sql.DB) error {
	_, err := Migration{DB: db}.Run(ctx)
	return err
}

// Run returns how many steps were carried out, 0 where nothing was missing. What the end of ctx interrupts is cancelled at
// the server too.
func (m Migration) Run(ctx context.Context) (steps int, err error) {
	declared, err := schema.Parse(outerSQL, innerSQL)
	if err != nil {
		return 0, err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	conn, err := m.DB.Conn(lasting(ctx))
	if err != nil {
		return 0, err
	}
	defer func() {
		// The session's settings are not for others.
		_ = conn.Raw(func(any) error { return driver.ErrBadConn })
		_ = conn.Close()
	}()
	r := &migrationRun{conn: conn, declared: declared, tell: m.Progress, cancel: cancel, advanced: time.Now()}
	if r.tell == nil {
		r.tell = func(string) {}
	}
	if err = r.run(ctx); err == nil {
		err = r.identify(ctx)
	}
	if errors.Is(context.Cause(ctx), errSilent) {
		err = errSilent
	}
	return r.done, err
}

// migrationRun is one run on its connection.
type migrationRun struct {
	conn     *sql.Conn
	declared *schema.Schema
	tell     func(string)
	cancel   context.CancelCauseFunc // ends the connection too

	postgres bool
	alone    bool // no other run changes anything
	done     int
	advanced time.Time // when a step was completed last
}

// run carries out what is missing until nothing is. Whatever was in the way, another process say, the catalogue is read
// again before the next attempt.
func (r *migrationRun) run(ctx context.Context) error {
	for fruitless, failures := 0, 0; ; {
		steps, err := r.missing(ctx)
		if err != nil || len(steps) == 0 {
			return err
		}
		if !r.alone {
			if err := r.begin(ctx); err != nil {
				return err
			}
			continue
		}
		before := r.done
		failed, err := r.carryOut(ctx, steps)
		if err == nil {
			if fruitless++; fruitless > fruitlessRounds {
				return fmt.Errorf("%s: it is missing still", steps[0].Text)
			}
			continue
		}
		if failures++; r.done > before {
			failures = 1
		}
		if err := r.wait(ctx, failed, err, failures); err != nil {
			return err
		}
	}
}

// wait waits before the next attempt at a step, or returns why there is none.
func (r *migrationRun) wait(ctx context.Context, step schema.Step, err error, failures int) error {
	switch {
	case !mayPass(err, step), code(err) == codeUniqueViolation && failures > duplicateAttempts:
		return explained(err, step)
	case time.Since(r.advanced) > lockPatience:
		return fmt.Errorf("%s: given up after %s; end the transactions that hold table %s, or wait for them, and migrate again: %w",
			step.Text, lockPatience, step.Table, err)
	case IsLocked(err):
		text := fmt.Sprintf("waiting for a lock on %s, attempt %d", step.Table, failures+1)
		if held := r.holders(ctx, step.Table); len(held) > 0 {
			text += ", held by " + strings.Join(held, ", ")
		}
		r.tell(text)
	default:
		r.tell(fmt.Sprintf("%s: another session was in the way (SQLSTATE %s), attempt %d", step.Text, code(err), failures+1))
	}
	timer := time.NewTimer(min(longestPause, longestPause/5*time.Duration(failures)))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// carryOut runs steps until one fails, and returns that one.
func (r *migrationRun) carryOut(ctx context.Context, steps []schema.Step) (schema.Step, error) {
	for _, step := range steps {
		if step.Index == oneTaskPerKey && !step.New {
			if err := r.adoptTasks(ctx); err != nil {
				return step, err
			}
		}
		r.tell(step.Text)
		if err := r.limitLocks(ctx, !step.Concurrent); err != nil {
			return step, err
		}
		for _, statement := range step.Statements {
			if _, err := r.conn.ExecContext(ctx, statement); err != nil {
				return step, err
			}
		}
		r.done, r.advanced = r.done+1, time.Now()
	}
	return schema.Step{}, nil
}

// guarded ends the connection unless the returned function is called in time. All but the statement of a step is sent under it:
// the connection itself has no limit, and a server that is frozen minds none of its own.
func (r *migrationRun) guarded() (stop func() bool) {
	return time.AfterFunc(answerTime, func() { r.cancel(errSilent) }).Stop
}

// identify gives the database an id where it has none.
func (r *migrationRun) identify(ctx context.Context) error {
	defer r.guarded()()
	return identify(ctx, r.conn)
}

// limitLocks bounds the waiting for a lock, or lets it last: a statement that keeps nobody waiting may wait itself, and
// would have to begin again.
func (r *migrationRun) limitLocks(ctx context.Context, limited bool) error {
	defer r.guarded()()
	wait := time.Duration(0)
	if limited {
		wait = lockWait
	}
	_, err := r.conn.ExecContext(ctx, fmt.Sprintf(`SET lock_timeout = %d`, wait.Milliseconds()))
	return err
}

// mayPass tells whether a step that failed with err may succeed, or be unnecessary, a moment later.
func mayPass(err error, step schema.Step) bool {
	pe, ok := errors.AsType[*pq.Error](err)
	if !ok {
		return false
	}
	switch pe.Code {
	case codeLockNotAvailable, codeSerializationFailure, codeDeadlock:
		return true
	case codeDuplicateObject, codeDuplicateSchema, "42P07", "42701":
		return true // another session has made it
	case "55000":
		return true // CockroachDB is making, or dropping, the same for another session
	case codeUniqueViolation:
		// In the catalogue two sessions met; in the queue an earlier release wrote a task meanwhile.
		return pe.Schema == "pg_catalog" || step.Index == oneTaskPerKey
	}
	return IsConcurrentChange(err)
}

func explained(err error, step schema.Step) error {
	if code(err) == codeUniqueViolation && step.Index != "" {
		return fmt.Errorf("%s: rows of table %s are there twice and have to be removed by hand: %w", step.Text, step.Table, err)
	}
	return fmt.Errorf("%s: %w", step.Text, err)
}

// Package rdb makes and drops users' SQL schemas on a CockroachDB, or another server that speaks PostgreSQL's protocol.
//
// A schema belongs to Inner; the user's role may use it and create in it, and owns what it creates. Statements are such
// that both engines take them; the few that only one takes are in dialect.go.
package rdb

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"database/sql/driver"
	"encoding/hex"
	"errors"
	"fmt"
	"sync"

	"go.uber.org/zap"

	"app238.com/inner/app/config"
	"app238.com/inner/app/database"
	"app238.com/inner/app/health"
	"app238.com/inner/modules/combinator/internal/engine"
)

// Connect returns what opens connections to a database of the engine; "" is the one that the configuration names.
type Connect func(c config.RDB, database string) (driver.Connector, error)

// MarkKey returns the secret with which the marks of this platform are encrypted. It never changes.
type MarkKey func(ctx context.Context) ([]byte, error)

// Engine implements engine.RDB.
type Engine struct {
	config  config.RDB
	connect Connect
	names   names
	// platform stands in the marks, and markKey is their key.
	platform string
	markKey  MarkKey
	log      *zap.Logger
	// admin is connected to the database that the DSN names; nil where there is no engine.
	admin *sql.DB

	mu           sync.Mutex
	dialect      *dialect // unknown until the server was asked
	cachedMarks  *marks   // unknown until the key was read
	verifiedKeys verifiedKeys

	sizesForbiddenLogged sync.Once // it was said that sizes are not told
}

// New returns the engine. It does not connect: a server that is away is found out by whoever asks it something.
func New(c *config.Config, key MarkKey, log *zap.Logger) (*Engine, error) {
	return NewWith(c, key, log, database.EngineConnector)
}

// NewWith is New with another way to connect.
func NewWith(all *config.Config, key MarkKey, log *zap.Logger, connect Connect) (*Engine, error) {
	c := all.Combinator.RDB
	n, err := newNames(c)
	if err != nil {
		return nil, fmt.Errorf("combinator.rdb.names: %w", err)
	}
	e := &Engine{config: c, connect: connect, names: n, platform: all.PlatformMark(), markKey: key, log: log.Named("job")}
	if c.DSN == "" {
		return e, nil
	}
	connector, err := connect(c, "")
	if err != nil {
		return nil, err
	}
	e.admin = sql.OpenDB(connector)
	e.admin.SetMaxOpenConns(c.MaxOpenConnections)
	e.admin.SetMaxIdleConns(c.MaxOpenConnections)
	e.admin.SetConnMaxLifetime(c.MaxConnectionLifetime)
	return e, nil
}

// Close ends the connections.
func (e *Engine) Close() error {
	if e.admin == nil {
		return nil
	}
	return e.admin.Close()
}

// Configured implements engine.RDB.
func (e *Engine) Configured() bool { return e.admin != nil }

// Ready implements engine.RDB.
func (e *Engine) Ready(ctx context.Context) error {
	if !e.Configured() {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, e.config.ConnectTimeout)
	defer cancel()
	err := e.admin.PingContext(ctx)
	return health.Because(database.Explain(err), err)
}

// Fingerprint implements engine.RDB.
func (e *Engine) Fingerprint(key string) string {
	text := fmt.Sprintf("%s %s %s %s %d", e.platform, e.config.Roles, e.config.StatementTimeout, e.config.IdleTransactionTimeout, e.config.ConnectionLimit)
	if e.config.Roles != config.RolesPassword {
		key = ""
	}
	sum := sha256.Sum256([]byte(text + "\n" + key))
	return hex.EncodeToString(sum[:])
}

func (e *Engine) withRoles() bool { return e.config.Roles != config.RolesNone }

// maxRuns is how often a step is run when another session changes the same object of the catalogue at the same time.
const maxAttempts = 5

// on runs work on a connection to a database. Connections to a user's own database are not kept, so that one which hangs
// holds nothing that others need.
func (e *Engine) on(ctx context.Context, databaseName string, work func(ctx context.Context, db *sql.DB) error) error {
	if !e.Configured() {
		return engine.ErrNotConfigured
	}
	db := e.admin
	if databaseName != "" {
		connector, err := e.connect(e.config, databaseName)
		if err != nil {
			return err
		}
		db = sql.OpenDB(connector)
		db.SetMaxOpenConns(1)
		defer func() { _ = db.Close() }()
	}
	for run := 1; ; run++ {
		err := database.Retry(ctx, func(ctx context.Context) error { return work(ctx, db) })
		if run < maxAttempts && database.IsConcurrentChange(err) {
			continue
		}
		return classify(err, databaseName)
	}
}

// missing tells whether err says that a role is not there, or a user's own database. That the shared one is not there says
// nothing about what is in it.
func isMissing(err error) bool {
	return database.IsMissing(err) && !errors.Is(err, engine.ErrUnavailable)
}

// judged says in terms of the engine what an error means that work in a database ended with.
func classify(err error, databaseName string) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, engine.ErrBusy):
		return err
	case database.IsLocked(err):
		return fmt.Errorf("%w: %w", engine.ErrBusy, err)
	case databaseName != "" && database.IsMissing(err): // what the engine does not have is to be made, not to be waited for
		return err
	case database.IsUnavailable(err):
		return fmt.Errorf("%w: %w", engine.ErrUnavailable, err)
	}
	return err
}

// exec runs one statement, or several that stand in one text, within the time limit. On PostgreSQL a text is one transaction,
// on CockroachDB it is not: each of the statements may be the last one that is carried out.
func (e *Engine) exec(ctx context.Context, db *sql.DB, statement string, args ...any) error {
	ctx, cancel := context.WithTimeout(ctx, e.config.RequestTimeout)
	defer cancel()
	_, err := db.ExecContext(ctx, statement, args...)
	if err == nil || database.IsRefused(err) {
		return err
	}
	return fmt.Errorf("%w: %w", engine.ErrUncertain, err)
}

// execEach runs statements one after the other, each behind the same head, up to the first that fails.
func (e *Engine) execEach(ctx context.Context, db *sql.DB, head string, statements []string) error {
	for _, statement := range statements {
		if err := e.exec(ctx, db, head+statement); err != nil {
			return err
		}
	}
	return nil
}

// read runs a query for one row, and tells whether there was one.
func (e *Engine) read(ctx context.Context, db *sql.DB, query string, args []any, into ...any) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, e.config.RequestTimeout)
	defer cancel()
	err := db.QueryRowContext(ctx, query, args...).Scan(into...)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	return err == nil, err
}

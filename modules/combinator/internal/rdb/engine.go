// Package rdb creates and drops users' SQL schemas on CockroachDB, or another server with PostgreSQL's protocol.
//
// A schema belongs to Inner; the user's role may use it and create in it, and owns what it creates. Both engines accept the
// statements, except for the few in dialect.go.
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

// Connect returns a connector to a database of the engine; "" is the database of the configured DSN.
type Connect func(c config.RDB, database string) (driver.Connector, error)

// MarkKeys returns the secret key with which the marks of this platform are encrypted. It never changes.
type MarkKeys interface {
	MarkKey(ctx context.Context) ([]byte, error)
}

// Engine implements engine.RDB.
type Engine struct {
	config  config.RDB
	connect Connect
	names   names
	// platform is this platform's part of the marks, and keys returns their key.
	platform string
	keys     MarkKeys
	log      *zap.Logger
	// admin is connected to the database of the DSN; nil without an engine.
	admin *sql.DB

	mu           sync.Mutex
	dialect      *dialect // nil until the server's version was read
	cachedMarks  *marks   // nil until the key was read
	verifiedKeys verifiedKeys

	sizesForbiddenLogged sync.Once // the warning was logged
}

// New returns the engine. It does not connect: the first call finds out whether the server is available.
func New(c *config.Config, keys MarkKeys, log *zap.Logger) (*Engine, error) {
	return NewWith(c, keys, log, database.EngineConnector)
}

// NewWith is New with another Connect.
func NewWith(all *config.Config, keys MarkKeys, log *zap.Logger, connect Connect) (*Engine, error) {
	c := all.Combinator.RDB
	n, err := newNames(c)
	if err != nil {
		return nil, fmt.Errorf("combinator.rdb.names: %w", err)
	}
	e := &Engine{config: c, connect: connect, names: n, platform: all.PlatformMark(), keys: keys, log: log.Named("job")}
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

// Close closes the connections.
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
	return health.NewFailure(database.Explain(err), err)
}

// Fingerprint implements engine.RDB.
func (e *Engine) Fingerprint(key string) string {
	text := fmt.Sprintf("%s %s %s %s %d", e.platform, e.config.Roles, e.config.StatementTimeout, e.config.IdleTransactionTimeout,
		e.config.ConnectionLimit)
	if e.config.Roles != config.RolesPassword {
		key = ""
	}
	sum := sha256.Sum256([]byte(text + "\n" + key))
	return hex.EncodeToString(sum[:])
}

func (e *Engine) withRoles() bool { return e.config.Roles != config.RolesNone }

// maxAttempts bounds the runs of a step while other sessions change the same catalog object.
const maxAttempts = 5

// on runs work on a connection to a database. Connections to a user's own database are not pooled, so that a hanging one
// blocks no other user.
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

// isMissing reports whether err says that a role or a user's own database does not exist. A missing shared database says
// nothing about its content.
func isMissing(err error) bool {
	return database.IsMissing(err) && !errors.Is(err, engine.ErrUnavailable)
}

// classify maps an error of work in a database to an error of the engine.
func classify(err error, databaseName string) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, engine.ErrBusy):
		return err
	case database.IsLocked(err):
		return fmt.Errorf("%w: %w", engine.ErrBusy, err)
	case databaseName != "" && database.IsMissing(err): // a missing database is created, not waited for
		return err
	case database.IsUnavailable(err) && databaseName != "":
		return fmt.Errorf("%w: %w", engine.ErrDatabaseUnavailable, err)
	case database.IsUnavailable(err):
		return fmt.Errorf("%w: %w", engine.ErrUnavailable, err)
	}
	return err
}

// exec runs one statement, or several in one text, within the timeout. On PostgreSQL a text is one transaction; on
// CockroachDB it is not, and any of its statements may be the last one that is carried out.
func (e *Engine) exec(ctx context.Context, db *sql.DB, statement string, args ...any) error {
	ctx, cancel := context.WithTimeout(ctx, e.config.RequestTimeout)
	defer cancel()
	if err := engine.CheckDeadline(ctx); err != nil {
		return err
	}
	_, err := db.ExecContext(ctx, statement, args...)
	if err == nil || database.IsRefused(err) {
		return err
	}
	return fmt.Errorf("%w: %w", engine.ErrUncertain, err)
}

// execEach runs statements in order, each after the same prefix, up to the first error.
func (e *Engine) execEach(ctx context.Context, db *sql.DB, prefix string, statements []string) error {
	for _, statement := range statements {
		if err := e.exec(ctx, db, prefix+statement); err != nil {
			return err
		}
	}
	return nil
}

// read runs a query for one row, and reports whether there was one.
func (e *Engine) read(ctx context.Context, db *sql.DB, query string, args []any, into ...any) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, e.config.RequestTimeout)
	defer cancel()
	if err := engine.CheckDeadline(ctx); err != nil {
		return false, err
	}
	err := db.QueryRowContext(ctx, query, args...).Scan(into...)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	return err == nil, err
}

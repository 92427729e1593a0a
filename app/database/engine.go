package database

import (
	"context"
	"database/sql/driver"
	"errors"
	"strconv"

	"github.com/lib/pq"

	"app238.com/inner/app/config"
)

// EngineConnector returns what opens connections to a database of the RDB engine, "" being the one that the DSN names. A
// server that has stopped answering costs a connection, and the time limit of one statement.
func EngineConnector(c config.RDB, database string) (driver.Connector, error) {
	const key = "combinator.rdb.dsn"
	settings := append(session(c.ConnectTimeout, c.RequestTimeout),
		setting{"lock_timeout", strconv.FormatInt(c.LockTimeout.Milliseconds(), 10)})
	dsn, err := addSettings(key, c.DSN.Reveal(), database, settings)
	if err != nil {
		return nil, err
	}
	return connect(key, dsn, c.RequestTimeout+answerMargin)
}

// IsForbidden tells whether err says that the server does not let this user do that.
func IsForbidden(err error) bool { return code(err) == codeNoRight }

// IsOutOfTime tells whether err says that a statement took longer than it may.
func IsOutOfTime(err error) bool {
	return code(err) == codeOutOfTime || !unopened(err) && errors.Is(err, context.DeadlineExceeded)
}

// IsDivisionByZero tells whether err says that a statement divided by zero, as one does that is to stop what stands behind it.
func IsDivisionByZero(err error) bool { return code(err) == codeDivisionByZero }

// Quote makes a name safe to stand in a statement.
func Quote(name string) string { return pq.QuoteIdentifier(name) }

// Literal makes a text safe to stand in a statement that takes no arguments.
func Literal(text string) string { return pq.QuoteLiteral(text) }

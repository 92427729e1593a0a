package database

import (
	"context"
	"database/sql/driver"
	"errors"
	"strconv"

	"github.com/lib/pq"

	"app238.com/inner/app/config"
)

// EngineConnector returns a connector to a database of the RDB engine, "" for the database of the DSN. A server that stops
// answering costs one connection and the time limit of one statement.
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

// IsForbidden tells whether the user lacks a privilege.
func IsForbidden(err error) bool { return code(err) == codeInsufficientPrivilege }

// IsStatementTimeout tells whether a statement took longer than it may.
func IsStatementTimeout(err error) bool {
	return code(err) == codeQueryCanceled || !isConnectError(err) && errors.Is(err, context.DeadlineExceeded)
}

// IsDivisionByZero tells whether a statement divided by zero, which guards use on purpose to abort the statements after them.
func IsDivisionByZero(err error) bool { return code(err) == codeDivisionByZero }

// Quote quotes an identifier for a statement.
func Quote(name string) string { return pq.QuoteIdentifier(name) }

// Literal quotes a string for a statement that takes no arguments.
func Literal(text string) string { return pq.QuoteLiteral(text) }

package database

import (
	"context"
	"database/sql/driver"
	"errors"
	"io"
	"net"
	"strings"
	"syscall"

	"github.com/lib/pq"
)

// SQLSTATE codes by which an error is judged.
const (
	codeUniqueViolation      = "23505"
	codeSerializationFailure = "40001"
	codeDeadlock             = "40P01"
	codeTooManyConnections   = "53300"
	codeCannotConnectNow     = "57P03"
	codeAdminShutdown        = "57P01"
	codeCrashShutdown        = "57P02"
	codeQueryCanceled        = "57014"
	codeForeignKeyViolation  = "23503"
	codeDuplicateDatabase    = "42P04"
	codeDuplicateObject      = "42710"
	codeDuplicateSchema      = "42P06"
	codeDependentObjects     = "2BP01"
	codeObjectInUse          = "55006"
	codeLockNotAvailable     = "55P03"
	codeUndefinedDatabase    = "3D000"
	codeUndefinedObject      = "42704"
	classConnection          = "08"
	classAuthorization       = "28"
)

func code(err error) string {
	if pe, ok := errors.AsType[*pq.Error](err); ok {
		return string(pe.Code)
	}
	return ""
}

// IsRetryable tells whether the transaction that failed with err was rolled back through no fault of its own and will
// probably succeed when it is run again from its start.
func IsRetryable(err error) bool {
	c := code(err)
	return c == codeSerializationFailure || c == codeDeadlock
}

// IsUniqueViolation tells whether err says that a unique index forbids the row.
func IsUniqueViolation(err error) bool { return code(err) == codeUniqueViolation }

// IsUnavailable tells whether err says that the database is away or overloaded rather than that it refused the
// statement.
func IsUnavailable(err error) bool {
	if err == nil {
		return false
	}
	switch c := code(err); {
	case c == codeTooManyConnections, c == codeCannotConnectNow, c == codeAdminShutdown, c == codeCrashShutdown,
		c == codeQueryCanceled, strings.HasPrefix(c, classConnection):
		return true
	}
	var netErr net.Error
	return errors.As(err, &netErr) || errors.Is(err, driver.ErrBadConn) || errors.Is(err, io.EOF) ||
		errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) ||
		errors.Is(err, net.ErrClosed) || errors.Is(err, context.DeadlineExceeded)
}

// IsRefused tells whether err says that the database received the statement and did not carry it out. After any other
// error it may have been carried out, its answer lost.
func IsRefused(err error) bool { return code(err) != "" && !IsUnavailable(err) }

// IsForeignKeyViolation tells whether err says that the row which another one names is not there.
func IsForeignKeyViolation(err error) bool { return code(err) == codeForeignKeyViolation }

// IsDuplicate tells whether err says that a database or role of this name exists.
func IsDuplicate(err error) bool {
	c := code(err)
	return c == codeDuplicateDatabase || c == codeDuplicateObject
}

// IsDuplicateSchema tells whether err says that a schema of this name exists.
func IsDuplicateSchema(err error) bool { return code(err) == codeDuplicateSchema }

// IsInUse tells whether err says that something cannot be dropped because others depend on it or use it.
func IsInUse(err error) bool {
	c := code(err)
	return c == codeDependentObjects || c == codeObjectInUse
}

// IsLocked tells whether err says that a lock which others hold was waited for too long.
func IsLocked(err error) bool { return code(err) == codeLockNotAvailable }

// IsMissing tells whether err says that a database or role is not there.
func IsMissing(err error) bool {
	c := code(err)
	return c == codeUndefinedDatabase || c == codeUndefinedObject
}

// IsLoginRefused tells whether err says that the server does not let this user in.
func IsLoginRefused(err error) bool { return strings.HasPrefix(code(err), classAuthorization) }

// IsConcurrentChange tells whether err says that another session changed the same object of the catalogue.
func IsConcurrentChange(err error) bool {
	pe, ok := errors.AsType[*pq.Error](err)
	return ok && strings.Contains(pe.Message, "concurrently updated")
}

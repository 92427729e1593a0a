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
	classConnection          = "08"
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

package database

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"syscall"

	"github.com/lib/pq"
)

// SQLSTATE codes and classes by which errors are classified.
const (
	codeUniqueViolation        = "23505"
	codeReadOnly               = "25006"
	codeSerializationFailure   = "40001"
	codeDeadlock               = "40P01"
	codeInvalidStatementName   = "26000"
	codeNotSupported           = "0A000"
	codeDuplicateStatement     = "42P05"
	codeDiskFull               = "53100"
	codeForeignKeyViolation    = "23503"
	codeDuplicateDatabase      = "42P04"
	codeDuplicateObject        = "42710"
	codeDuplicateSchema        = "42P06"
	codeDependentObjects       = "2BP01"
	codeObjectInUse            = "55006"
	codeLockNotAvailable       = "55P03"
	codeUndefinedDatabase      = "3D000"
	codeUndefinedObject        = "42704"
	codeOutOfMemory            = "53200"
	codeTooManyConnections     = "53300"
	codeUndefinedTable         = "42P01"
	codeUndefinedColumn        = "42703"
	codeInsufficientPrivilege  = "42501"
	codeDivisionByZero         = "22012"
	codeProgramLimitExceeded   = "54000"
	classData                  = "22"
	classAuthorization         = "28"
	classConnection            = "08"
	classInsufficientResources = "53"
	classOperatorIntervention  = "57"
)

// refusedCodes are the classes and codes after which a statement certainly had no effect: PostgreSQL and CockroachDB return
// them before they execute it, or after they have rolled its transaction back. The list is short and must stay so: after any
// other code the statement may have been executed. Not listed, for instance: 40003 and 08007, which say so themselves; 57014,
// which CockroachDB returns for a commit that timed out; and 53, 57P01, 58 and XX, which may occur during or after a commit.
var refusedCodes = []string{
	"0A",             // not supported
	"21", "22", "23", // the data
	"25", "26", // the state of the session: read-only, a failed transaction, no such prepared statement
	"28",             // authentication
	"2B", "3D", "3F", // dependent objects; no such database or schema
	"42", "44", "54", // syntax, names and privileges; check options; program limits
	"P0",                      // raised by a function or trigger
	"40001", "40002", "40P01", // rolled back
	"53300", "57P03", // no connection accepted
	"55000", "55006", "55P03", // object in use, lock not available
}

// permanentCodes are the classes and codes of errors in the statement or its data: repeating it fails in the same way. All
// others mean that the database is unavailable for now.
var permanentCodes = []string{
	"0A", "21", "22", "23", "25001", "25P01", "25P02", "2B", "3F", "40002", "42", "44", "54", "55000", "P0",
}

// dataCodes are those of permanentCodes that the values cause, not the tables or privileges, which an operator can correct.
var dataCodes = []string{"21", "22", "23", "44", "P0"}

// connectError is the error of opening a connection. No statement was sent, and whatever the cause is (a certificate, a
// parameter, a privilege), it is not the statement.
type connectError struct{ cause error }

// Error implements error.
func (e *connectError) Error() string { return e.cause.Error() }

// Unwrap returns the cause.
func (e *connectError) Unwrap() error { return e.cause }

// isConnectError tells whether no connection could be opened for the statement.
func isConnectError(err error) bool {
	_, ok := errors.AsType[*connectError](err)
	return ok
}

// code returns the SQLSTATE of a statement's error, "" for none.
func code(err error) string {
	if isConnectError(err) {
		return ""
	}
	return sqlState(err)
}

// sqlState returns the SQLSTATE of a server's error, of a statement or of a connection; "" for none.
func sqlState(err error) string {
	if pe, ok := errors.AsType[*pq.Error](err); ok {
		return string(pe.Code)
	}
	return ""
}

// IsRetryable tells whether the transaction was rolled back because of a conflict (serialization failure, deadlock) and can
// be retried from its start.
func IsRetryable(err error) bool {
	c := code(err)
	return c == codeSerializationFailure || c == codeDeadlock
}

// Violates tells whether err is the violation of the unique index or primary key of this name.
func Violates(err error, constraint string) bool {
	pe, ok := errors.AsType[*pq.Error](err)
	return ok && pe.Code == codeUniqueViolation && pe.Constraint == constraint
}

// IsUnavailable tells whether err is caused by the state of the database or the connection, not by the statement or its
// data: a retry may succeed. It is false for errors that are not of a database or a connection.
func IsUnavailable(err error) bool {
	if err == nil {
		return false
	}
	if isConnectError(err) {
		return true
	}
	if c := code(err); c != "" {
		// 54000 is an exhausted id space of the server; the other codes of class 54 are limits of the statement.
		return !oneOf(c, permanentCodes) || c == codeProgramLimitExceeded || sessionUnusable(c) || outdatedSequence(err) != ""
	}
	return isBrokenConnection(err) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, errSessionEnded) ||
		errors.Is(err, sql.ErrConnDone) || errors.Is(err, sql.ErrTxDone)
}

// isBrokenConnection tells whether err is that of a connection that failed or was lost.
func isBrokenConnection(err error) bool {
	var netErr net.Error
	return errors.As(err, &netErr) || errors.Is(err, driver.ErrBadConn) || errors.Is(err, io.EOF) ||
		errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) ||
		errors.Is(err, net.ErrClosed)
}

// IsRefused tells whether the statement certainly had no effect: the server refused it, or there was no connection to send
// it. After any other error it may have been executed.
func IsRefused(err error) bool { return isConnectError(err) || oneOf(code(err), refusedCodes) }

// oneOf tells whether a code, or its class, is on a list.
func oneOf(code string, list []string) bool {
	return len(code) == 5 && (slices.Contains(list, code) || slices.Contains(list, code[:2]))
}

// IsBadData tells whether a value is invalid for its column or the statement: out of range, too long, or of another type.
func IsBadData(err error) bool { return strings.HasPrefix(code(err), classData) }

// IsDataRefused tells whether the statement had no effect because of its values, and never will have with the same ones.
func IsDataRefused(err error) bool { return oneOf(code(err), dataCodes) && !IsUnavailable(err) }

// IsForeignKeyViolation tells whether a referenced row does not exist.
func IsForeignKeyViolation(err error) bool { return code(err) == codeForeignKeyViolation }

// IsDuplicate tells whether a database or role of this name already exists.
func IsDuplicate(err error) bool {
	c := code(err)
	return c == codeDuplicateDatabase || c == codeDuplicateObject
}

// IsDuplicateSchema tells whether a schema of this name already exists.
func IsDuplicateSchema(err error) bool { return code(err) == codeDuplicateSchema }

// IsInUse tells whether an object cannot be dropped because others depend on it or use it.
func IsInUse(err error) bool {
	c := code(err)
	return c == codeDependentObjects || c == codeObjectInUse
}

// IsLocked tells whether waiting for a lock timed out.
func IsLocked(err error) bool { return code(err) == codeLockNotAvailable }

// IsOutOfMemory tells whether the server had no memory left for a statement, for instance for the locks that it takes.
func IsOutOfMemory(err error) bool { return code(err) == codeOutOfMemory }

// IsMissing tells whether a database or role does not exist.
func IsMissing(err error) bool {
	// A missing database is reported when a connection to it is opened.
	return sqlState(err) == codeUndefinedDatabase || code(err) == codeUndefinedObject
}

// IsConcurrentChange tells whether another session changed the same object of the catalogue.
func IsConcurrentChange(err error) bool {
	pe, ok := errors.AsType[*pq.Error](err)
	return ok && strings.Contains(pe.Message, "concurrently updated")
}

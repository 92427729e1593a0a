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

// SQLSTATE codes by which an error is judged.
const (
	codeUniqueViolation      = "23505"
	codeReadOnly             = "25006"
	codeSerializationFailure = "40001"
	codeDeadlock             = "40P01"
	codeNotPrepared          = "26000"
	codeNotSupported         = "0A000"
	codePreparedTwice        = "42P05"
	codeDiskFull             = "53100"
	codeForeignKeyViolation  = "23503"
	codeDuplicateDatabase    = "42P04"
	codeDuplicateObject      = "42710"
	codeDuplicateSchema      = "42P06"
	codeDependentObjects     = "2BP01"
	codeObjectInUse          = "55006"
	codeLockNotAvailable     = "55P03"
	codeUndefinedDatabase    = "3D000"
	codeUndefinedObject      = "42704"
	codeOutOfMemory          = "53200"
	codeTooManyConnections   = "53300"
	codeUndefinedTable       = "42P01"
	codeUndefinedColumn      = "42703"
	codeNoRight              = "42501"
	codeDivisionByZero       = "22012"
	codeLimitExceeded        = "54000"
	classData                = "22"
	classAuthorization       = "28"
	classConnection          = "08"
	classResources           = "53"
	classOperator            = "57"
)

// refused are the classes and codes after which a statement certainly had no effect: PostgreSQL and CockroachDB give them
// before they carry it out, or with its transaction rolled back. The list is short and must stay so: whatever is not on it
// may have happened. Not on it, for instance: 40003 and 08007, which say so themselves; 57014, with which CockroachDB
// answers a commit that ran out of time; and 53, 57P01, 58 and XX, which may come while or after the server commits.
var refused = []string{
	"0A",             // not supported
	"21", "22", "23", // the data
	"25", "26", // the state of the session: read-only, a failed transaction, no such prepared statement
	"28",             // no log-in
	"2B", "3D", "3F", // dependents, no such database or schema
	"42", "44", "54", // syntax, names and rights; a check; the statement is too large
	"P0",                      // raised by a function or trigger
	"40001", "40002", "40P01", // rolled back
	"53300", "57P03", // not let in
	"55000", "55006", "55P03", // in use, locked
}

// atFault are the classes and codes for which the statement or its data are to blame by their nature: the same again would
// end in the same way. Everything else says that the database is not as it has to be, and to wait is right.
var atFault = []string{
	"0A", "21", "22", "23", "25001", "25P01", "25P02", "2B", "3F", "40002", "42", "44", "54", "55000", "P0",
}

// ofData are those of atFault for which the values are to blame, rather than the tables or the rights of Inner's role, which
// somebody may put right.
var ofData = []string{"21", "22", "23", "44", "P0"}

// connectError is why a connection could not be opened. Nothing of a statement was sent over it, and whatever the cause is, a
// certificate, a setting, a right or a server of another kind, the statement is not to blame.
type connectError struct{ cause error }

// Error implements error.
func (e *connectError) Error() string { return e.cause.Error() }

// Unwrap returns the cause.
func (e *connectError) Unwrap() error { return e.cause }

// unopened tells whether err says that there was no connection to send the statement over.
func unopened(err error) bool {
	_, ok := errors.AsType[*connectError](err)
	return ok
}

// code returns the SQLSTATE with which a statement was answered, "" for none.
func code(err error) string {
	if unopened(err) {
		return ""
	}
	return said(err)
}

// said returns the SQLSTATE of what a server said, of a statement or of a connection; "" for none.
func said(err error) string {
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

// Violates tells whether err says that a unique index, or a primary key, of this name forbids the row. The name decides: a
// table has several, and one that another statement's error names says nothing about this one's.
func Violates(err error, constraint string) bool {
	pe, ok := errors.AsType[*pq.Error](err)
	return ok && pe.Code == codeUniqueViolation && pe.Constraint == constraint
}

// IsUnavailable tells whether err says that the database is away, overloaded or not as it has to be, rather than that the
// statement or its data are to blame: whoever waits may succeed. An error that is not of a database or a connection is not.
func IsUnavailable(err error) bool {
	if err == nil {
		return false
	}
	if unopened(err) {
		return true
	}
	if c := code(err); c != "" {
		// An exhausted number space is the server's matter, the other limits are the statement's.
		return !oneOf(c, atFault) || c == codeLimitExceeded || useless(c) || sequenceBehind(err) != ""
	}
	return broken(err) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, errEnded) ||
		errors.Is(err, sql.ErrConnDone) || errors.Is(err, sql.ErrTxDone)
}

// broken tells whether err is that of a connection that is not there, or not any more.
func broken(err error) bool {
	var netErr net.Error
	return errors.As(err, &netErr) || errors.Is(err, driver.ErrBadConn) || errors.Is(err, io.EOF) ||
		errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) ||
		errors.Is(err, net.ErrClosed)
}

// IsRefused tells whether err says that the statement certainly had no effect: it was refused, or not sent for want of a
// connection. After any other error it may have been carried out, its answer lost.
func IsRefused(err error) bool { return unopened(err) || oneOf(code(err), refused) }

// oneOf tells whether a code, or its class, is on a list.
func oneOf(code string, list []string) bool {
	return len(code) == 5 && (slices.Contains(list, code) || slices.Contains(list, code[:2]))
}

// IsBadData tells whether err says that a value is none that its column, or the statement, takes: out of range, too long, not
// of its type. The same value is refused each time.
func IsBadData(err error) bool { return strings.HasPrefix(code(err), classData) }

// IsDataRefused tells whether err says that the statement certainly had no effect, and will have none with the same values.
func IsDataRefused(err error) bool { return oneOf(code(err), ofData) && !IsUnavailable(err) }

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

// IsFull tells whether err says that the server had no memory left for a statement, as for the locks that it takes.
func IsFull(err error) bool { return code(err) == codeOutOfMemory }

// IsMissing tells whether err says that a database or role is not there.
func IsMissing(err error) bool {
	// That a database is not there is said where a connection to it is opened.
	return said(err) == codeUndefinedDatabase || code(err) == codeUndefinedObject
}

// IsConcurrentChange tells whether err says that another session changed the same object of the catalogue.
func IsConcurrentChange(err error) bool {
	pe, ok := errors.AsType[*pq.Error](err)
	return ok && strings.Contains(pe.Message, "concurrently updated")
}

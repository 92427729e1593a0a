package database

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io/fs"
	"iter"
	"net"
	"strings"

	"github.com/lib/pq"

	"app238.com/inner/app/logging"
)

// Explain describes the state of the database that an error reveals, and the remedy where it is known; "" for nil. The text
// is safe for clients: of the driver's and the server's message it repeats the SQLSTATE alone.
func Explain(err error) string {
	if err == nil {
		return ""
	}
	if pooler, ok := errors.AsType[*PoolerError](err); ok {
		return pooler.Error()
	}
	c := sqlState(err)
	switch table := outdatedSequence(err); {
	case errors.Is(err, errReadOnly), c == codeReadOnly:
		return "takes no writes: it is a standby, or set to read-only"
	case table != "":
		return "the id sequence of " + table + " is behind its rows; run: " + sequenceFix(table)
	case c == codeDiskFull:
		return "has no disk space left" + withState(c)
	case strings.HasPrefix(c, classInsufficientResources):
		return "has run out of resources" + withState(c)
	case strings.HasPrefix(c, classAuthorization):
		return "refuses the login" + withState(c)
	case c == codeUndefinedDatabase:
		return "does not exist" + withState(c)
	case c == codeUndefinedTable, c == codeUndefinedColumn:
		return "lacks a table or column; run: inner migrate" + withState(c)
	case c == codeInsufficientPrivilege:
		return "denies a privilege that Inner needs" + withState(c)
	case strings.HasPrefix(c, classOperatorIntervention):
		return "is starting, stopping, or cancels what takes too long" + withState(c)
	case c != "":
		return "fails" + withState(c)
	case isTimeout(err):
		return "does not answer in time"
	case errors.Is(err, pq.ErrSSLNotSupported):
		return "offers no TLS, which sslmode requires"
	case isCertificateError(err):
		return "cannot be reached by TLS: check its certificate, the authority (sslrootcert), and the client certificate"
	case isFileError(err):
		return "cannot be reached by TLS: a file that its DSN names cannot be read"
	case isConnectError(err) && !isBrokenConnection(err):
		return "refuses the connection"
	}
	return "does not answer"
}

// isCertificateError tells whether one side rejects the other's certificate, or does not speak TLS.
func isCertificateError(err error) bool {
	var (
		verification *tls.CertificateVerificationError
		authority    x509.UnknownAuthorityError
		invalid      x509.CertificateInvalidError
		host         x509.HostnameError
		record       tls.RecordHeaderError
	)
	// a TLS alert, whose type crypto/tls does not export
	if remote, ok := errors.AsType[*net.OpError](err); ok && remote.Op == "remote error" {
		return true
	}
	return errors.As(err, &verification) || errors.As(err, &authority) || errors.As(err, &invalid) || errors.As(err, &host) ||
		errors.As(err, &record)
}

// isFileError tells whether a file cannot be read.
func isFileError(err error) bool {
	_, ok := errors.AsType[*fs.PathError](err)
	return ok
}

func withState(code string) string { return " (SQLSTATE " + code + ")" }

func isTimeout(err error) bool {
	var netErr net.Error
	return errors.Is(err, context.DeadlineExceeded) || errors.As(err, &netErr) && netErr.Timeout()
}

// primaryKeySuffix is the suffix of a primary key's default name in both engines.
const primaryKeySuffix = "_pkey"

// outdatedSequence returns the table whose generated id already exists, or "". Ids always come from a sequence, so the
// sequence is behind the rows, as after a copy of the rows without it.
func outdatedSequence(err error) string {
	pe, ok := errors.AsType[*pq.Error](err)
	if !ok || pe.Code != codeUniqueViolation || !strings.Contains(pe.Detail, "(id)=(") {
		return ""
	}
	table, found := strings.CutSuffix(pe.Constraint, primaryKeySuffix)
	if !found {
		return ""
	}
	return table
}

// sequenceFix returns the statement that sets the sequence of a table's ids to its highest id.
func sequenceFix(table string) string {
	return "SELECT setval(pg_get_serial_sequence(" + Literal(table) + ", 'id'), max(id)) FROM " + table
}

// UserMessage returns the text of an error for operators, with Explain's text in place of the server's message, redacted or
// not.
func UserMessage(err error) string {
	text := err.Error()
	for e := range serverErrors(err) {
		explained := "the database " + Explain(e)
		text = strings.ReplaceAll(text, e.Error(), explained)
		text = strings.ReplaceAll(text, logging.Redact(e.Error()), explained)
	}
	return text
}

// serverErrors yields the server's errors among an error and its causes.
func serverErrors(err error) iter.Seq[*pq.Error] {
	return func(yield func(*pq.Error) bool) { visit(err, yield) }
}

func visit(err error, yield func(*pq.Error) bool) bool {
	if serverError, ok := err.(*pq.Error); ok { //nolint:errorlint // its causes are visited below
		return yield(serverError)
	}
	switch e := err.(type) { //nolint:errorlint // as above
	case interface{ Unwrap() error }:
		return e.Unwrap() == nil || visit(e.Unwrap(), yield)
	case interface{ Unwrap() []error }:
		for _, one := range e.Unwrap() {
			if !visit(one, yield) {
				return false
			}
		}
	}
	return true
}

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

// Explain says in words that may be shown to everybody what an error of the database says of its state, and what mends it
// where that is known; "" for none. It repeats nothing of the driver's or the server's message but the SQLSTATE.
func Explain(err error) string {
	if err == nil {
		return ""
	}
	if pooler, ok := errors.AsType[*PoolerError](err); ok {
		return pooler.Error()
	}
	c := said(err)
	switch table := sequenceBehind(err); {
	case errors.Is(err, errReadOnly), c == codeReadOnly:
		return "takes no writes: it is a standby, or set to read-only"
	case table != "":
		return "the id sequence of " + table + " is behind its rows; run: " + sequenceRemedy(table)
	case c == codeDiskFull:
		return "has no disk space left" + state(c)
	case strings.HasPrefix(c, classResources):
		return "has run out of resources" + state(c)
	case strings.HasPrefix(c, classAuthorization):
		return "does not let Inner in" + state(c)
	case c == codeUndefinedDatabase:
		return "does not exist" + state(c)
	case c == codeUndefinedTable, c == codeUndefinedColumn:
		return "lacks a table or column; run: inner migrate" + state(c)
	case c == codeNoRight:
		return "refuses Inner a right that it needs" + state(c)
	case strings.HasPrefix(c, classOperator):
		return "is stopping, starting, or ends what takes too long" + state(c)
	case c != "":
		return "fails" + state(c)
	case late(err):
		return "does not answer in time"
	case errors.Is(err, pq.ErrSSLNotSupported):
		return "offers no TLS, which sslmode asks for"
	case untrusted(err):
		return "cannot be reached by TLS: see its certificate, the authority (sslrootcert), and Inner's own certificate"
	case unreadable(err):
		return "cannot be reached by TLS: a file that its DSN names cannot be read"
	case unopened(err) && !broken(err):
		return "lets no connection be opened"
	}
	return "does not answer"
}

// untrusted tells whether one of two sides does not take the other's certificate, or does not speak TLS.
func untrusted(err error) bool {
	var (
		verification *tls.CertificateVerificationError
		authority    x509.UnknownAuthorityError
		invalid      x509.CertificateInvalidError
		host         x509.HostnameError
		record       tls.RecordHeaderError
	)
	if remote, ok := errors.AsType[*net.OpError](err); ok && remote.Op == "remote error" { // an alert, of a type that TLS keeps to itself
		return true
	}
	return errors.As(err, &verification) || errors.As(err, &authority) || errors.As(err, &invalid) || errors.As(err, &host) ||
		errors.As(err, &record)
}

// unreadable tells whether a file cannot be read.
func unreadable(err error) bool {
	_, ok := errors.AsType[*fs.PathError](err)
	return ok
}

func state(code string) string { return " (SQLSTATE " + code + ")" }

func late(err error) bool {
	var netErr net.Error
	return errors.Is(err, context.DeadlineExceeded) || errors.As(err, &netErr) && netErr.Timeout()
}

// primaryKey is how a primary key's name ends, both engines' default.
const primaryKey = "_pkey"

// sequenceBehind returns the table whose generated id was there already, or "". Inner names no ids itself, so that its
// sequence is behind the rows, as it is after rows were copied without it.
func sequenceBehind(err error) string {
	pe, ok := errors.AsType[*pq.Error](err)
	if !ok || pe.Code != codeUniqueViolation || !strings.Contains(pe.Detail, "(id)=(") {
		return ""
	}
	table, found := strings.CutSuffix(pe.Constraint, primaryKey)
	if !found {
		return ""
	}
	return table
}

// sequenceRemedy is the statement that sets the sequence of a table's ids to its rows.
func sequenceRemedy(table string) string {
	return "SELECT setval(pg_get_serial_sequence(" + Literal(table) + ", 'id'), max(id)) FROM " + table
}

// Words returns the text of an error, for operators, with Explain's words in the place of what the server said, be it that values
// in it were hidden on the way.
func Words(err error) string {
	text := err.Error()
	for said := range servers(err) {
		words := "the database " + Explain(said)
		text = strings.ReplaceAll(text, said.Error(), words)
		text = strings.ReplaceAll(text, logging.Redact(said.Error()), words)
	}
	return text
}

// servers yields all that a server said among an error and its causes.
func servers(err error) iter.Seq[*pq.Error] {
	return func(yield func(*pq.Error) bool) { visit(err, yield) }
}

func visit(err error, yield func(*pq.Error) bool) bool {
	if said, ok := err.(*pq.Error); ok { //nolint:errorlint // its causes are visited below
		return yield(said)
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

package database

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync/atomic"

	"github.com/lib/pq"
)

var (
	// errReadOnly is the error of a connection that accepts no writes. No statement was sent over it.
	errReadOnly = errors.New("the server takes no writes: it is a standby, or set to read-only")
	// errDriverMethod is the error of an unexpected driver.
	errDriverMethod = errors.New("the driver lacks a method")
	// errSessionEnded is the end of a session during a statement.
	errSessionEnded = errors.New("the server ended the session before it had answered")
)

// readOnly returns "on" or "off", on for a standby. Both engines and poolers accept it as a simple query.
const readOnly = `SHOW transaction_read_only`

// sessions opens the sessions of all pools. A session that accepts no writes is refused when it is opened, so that a pool never
// fills with those of a standby; one that becomes read-only, or is ending, is discarded after its statement.
type sessions struct{ *opener }

// Connect opens a session. Its errors are connectErrors.
func (c sessions) Connect(ctx context.Context) (driver.Conn, error) {
	w, lostSessions := &writeCounter{}, c.check.lostSessions.Load()
	conn, err := c.opener.Connect(context.WithValue(ctx, writeCounterKey{}, w))
	if err != nil {
		return nil, &connectError{err}
	}
	whole, ok := conn.(sqlConn)
	if !ok {
		_ = conn.Close()
		return nil, &connectError{errDriverMethod}
	}
	return &serverSession{sqlConn: whole, writeCounter: w, check: c.check, lostSessions: lostSessions}, nil
}

// sqlConn has the optional interfaces of a connection that database/sql uses.
type sqlConn interface {
	driver.Conn
	driver.ConnBeginTx
	driver.ConnPrepareContext
	driver.ExecerContext
	driver.NamedValueChecker
	driver.Pinger
	driver.QueryerContext
	driver.SessionResetter
	driver.Validator
}

// serverSession is a connection that tracks whether it is still usable.
type serverSession struct {
	sqlConn
	writeCounter *writeCounter
	check        *sessionCheck
	// lostSessions is the pool's count when the session was opened: after a further loss this session may be shared, too.
	lostSessions uint64
	// inTx: a transaction is open. stale: the session must be discarded. A session has one user at a time.
	inTx, stale bool
}

// Ping checks that the session accepts writes. If it does not, database/sql opens another one, which reports the reason.
func (s *serverSession) Ping(ctx context.Context) error {
	if writable(text(s.sqlConn.QueryContext(ctx, readOnly, nil))) != nil {
		s.stale = true
		return driver.ErrBadConn
	}
	return nil
}

// writable returns nil if the answer to readOnly says that the session accepts writes.
func writable(answer string, err error) error {
	switch {
	case err != nil:
		return fmt.Errorf("read transaction_read_only: %w", err)
	case answer != "off":
		return errReadOnly
	}
	return nil
}

// Close closes the connection. Errors of Terminate are ignored: they would fail the pool's Close when the server is gone.
func (s *serverSession) Close() error {
	_ = s.sqlConn.Close()
	return nil
}

// ExecContext implements driver.ExecerContext.
func (s *serverSession) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	sent := s.writeCounter.sent.Load()
	result, err := s.sqlConn.ExecContext(ctx, query, args)
	return result, s.classify(err, sent)
}

// QueryContext implements driver.QueryerContext.
func (s *serverSession) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	sent := s.writeCounter.sent.Load()
	rows, err := s.sqlConn.QueryContext(ctx, query, args)
	return rows, s.classify(err, sent)
}

// PrepareContext implements driver.ConnPrepareContext.
func (s *serverSession) PrepareContext(ctx context.Context, query string) (driver.Stmt, error) {
	prepared, err := s.sqlConn.PrepareContext(ctx, query)
	if err != nil {
		return nil, s.classify(err, s.writeCounter.sent.Load()) // Parse executes nothing, so it may be repeated
	}
	whole, ok := prepared.(sqlStmt)
	if !ok {
		_ = prepared.Close()
		return nil, errDriverMethod
	}
	return statement{sqlStmt: whole, session: s}, nil
}

// BeginTx implements driver.ConnBeginTx.
func (s *serverSession) BeginTx(ctx context.Context, opts driver.TxOptions) (driver.Tx, error) {
	tx, err := s.sqlConn.BeginTx(ctx, opts)
	if err != nil {
		return nil, err
	}
	s.inTx = true
	return transaction{Tx: tx, session: s}, nil
}

// ResetSession implements driver.SessionResetter.
func (s *serverSession) ResetSession(ctx context.Context) error {
	if s.isStale() {
		return driver.ErrBadConn
	}
	return s.sqlConn.ResetSession(ctx)
}

// IsValid implements driver.Validator.
func (s *serverSession) IsValid() bool { return !s.isStale() && s.sqlConn.IsValid() }

func (s *serverSession) isStale() bool {
	return s.stale || s.lostSessions != s.check.lostSessions.Load()
}

// classify returns the error of a statement for database/sql, which repeats a statement after ErrBadConn. The driver also
// returns ErrBadConn when the server ends a session during a statement; only a statement that was not sent, or certainly
// refused, may be repeated.
func (s *serverSession) classify(err error, sent uint64) error {
	c := code(err)
	if isLostSession(c) {
		s.check.lostSessions.CompareAndSwap(s.lostSessions, s.lostSessions+1)
	}
	switch {
	case err == nil:
	case errors.Is(err, driver.ErrBadConn):
		s.stale = true
		if s.writeCounter.sent.Load() != sent {
			return errSessionEnded
		}
	case needsOtherSession(err, c) && !s.inTx:
		s.stale = true
		return fmt.Errorf("%w: %w", driver.ErrBadConn, err)
	case needsOtherSession(err, c), strings.HasPrefix(c, classConnection), strings.HasPrefix(c, classServerShutdown):
		s.stale = true
	}
	return err
}

// isLostSession tells whether c is the code of a session that a pooler shares: a prepared statement is missing, or is another
// client's.
func isLostSession(c string) bool {
	return c == codeInvalidStatementName || c == codeDuplicateStatement
}

// sessionUnusable tells whether c is the code of a read-only or lost session, so that another one may run the statement.
func sessionUnusable(c string) bool { return c == codeReadOnly || isLostSession(c) }

// needsOtherSession tells whether another session may run the statement. That includes a statement that was prepared before a
// column of its result changed its type.
func needsOtherSession(err error, c string) bool {
	if c != codeNotSupported {
		return sessionUnusable(c)
	}
	pe, ok := errors.AsType[*pq.Error](err)
	return ok && (pe.Routine == "RevalidateCachedQuery" || strings.Contains(pe.Message, "cached plan must not change"))
}

// classServerShutdown are the codes of servers that stop, start, or end a session.
const classServerShutdown = "57P"

// sqlStmt has the optional interfaces of a prepared statement that database/sql uses.
type sqlStmt interface {
	driver.Stmt
	driver.StmtExecContext
	driver.StmtQueryContext
}

// statement is a prepared statement of a session.
type statement struct {
	sqlStmt
	session *serverSession
}

// ExecContext implements driver.StmtExecContext.
func (s statement) ExecContext(ctx context.Context, args []driver.NamedValue) (driver.Result, error) {
	sent := s.session.writeCounter.sent.Load()
	result, err := s.sqlStmt.ExecContext(ctx, args)
	return result, s.session.classify(err, sent)
}

// QueryContext implements driver.StmtQueryContext.
func (s statement) QueryContext(ctx context.Context, args []driver.NamedValue) (driver.Rows, error) {
	sent := s.session.writeCounter.sent.Load()
	rows, err := s.sqlStmt.QueryContext(ctx, args)
	return rows, s.session.classify(err, sent)
}

// transaction is a transaction of a session.
type transaction struct {
	driver.Tx
	session *serverSession
}

// Commit ends the transaction. After an error nothing is repeated.
func (t transaction) Commit() error {
	t.session.inTx = false
	return t.Tx.Commit()
}

// Rollback ends the transaction.
func (t transaction) Rollback() error {
	t.session.inTx = false
	return t.Tx.Rollback()
}

// writeCounter counts the writes to a session's server.
type writeCounter struct{ sent atomic.Uint64 }

type writeCounterKey struct{}

// countingDialer counts the writes of sessions. Connections that cancel a statement are not counted.
type countingDialer struct{ dialer }

// DialContext implements pq.DialerContext.
func (d countingDialer) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := d.dialer.DialContext(ctx, network, address)
	w, ok := ctx.Value(writeCounterKey{}).(*writeCounter)
	if err != nil || !ok {
		return conn, err
	}
	return &countingConn{Conn: conn, writeCounter: w}, nil
}

type countingConn struct {
	net.Conn
	writeCounter *writeCounter
}

// Write counts a write of which at least a part was sent.
func (c *countingConn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	if n > 0 || err == nil {
		c.writeCounter.sent.Add(1)
	}
	return n, err
}

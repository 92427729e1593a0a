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
	// errReadOnly is why a connection is not used. Nothing was sent over it.
	errReadOnly = errors.New("the server takes no writes: it is a standby, or its sessions are read-only")
	// errNoMethod says that the driver is not the one that this program is made for.
	errNoMethod = errors.New("the driver lacks a method")
	// errEnded is the end of a session while the answer to a statement was awaited.
	errEnded = errors.New("the server ended the session before it had answered")
)

// readOnly asks for "on" or "off". A standby says on, and both engines and poolers understand it as one simple message.
const readOnly = `SHOW transaction_read_only`

// sessions opens the sessions of all pools. One that takes no writes is refused when it is opened, so that a pool never fills
// with those of a standby; and one that turned out to be such, or to be ending, is thrown away after its statement.
type sessions struct{ *opener }

// Connect opens a session. Its error says that nothing was sent of the statement that needs one.
func (c sessions) Connect(ctx context.Context) (driver.Conn, error) {
	w, losses := &wire{}, c.check.losses.Load()
	conn, err := c.opener.Connect(context.WithValue(ctx, wireKey{}, w))
	if err != nil {
		return nil, &connectError{err}
	}
	whole, ok := conn.(wholeConn)
	if !ok {
		_ = conn.Close()
		return nil, &connectError{errNoMethod}
	}
	return &serverSession{wholeConn: whole, wire: w, check: c.check, losses: losses}, nil
}

// wholeConn is what database/sql asks of a connection beside the least.
type wholeConn interface {
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

// serverSession is a connection that knows when it is of no use any more.
type serverSession struct {
	wholeConn
	wire  *wire
	check *poolingCheck
	// losses are those of the pool when the session was opened: after another one it may be no more its connection's own than
	// the one that was lost.
	losses uint64
	// within says that a transaction is open, stale that the session is to be thrown away. A session has one user at a time.
	within, stale bool
}

// Ping asks whether the session takes writes. Where it does not, another one is opened, and what is wrong shows there.
func (s *serverSession) Ping(ctx context.Context) error {
	if writable(text(s.wholeConn.QueryContext(ctx, readOnly, nil))) != nil {
		s.stale = true
		return driver.ErrBadConn
	}
	return nil
}

// writable returns nil where the answer to readOnly says that the session takes writes.
func writable(answer string, err error) error {
	switch {
	case err != nil:
		return fmt.Errorf("ask whether the session takes writes: %w", err)
	case answer != "off":
		return errReadOnly
	}
	return nil
}

// Close closes the connection. That its farewell did not arrive, as where the server has gone, is no fault: the pool would
// make a failed stop of it.
func (s *serverSession) Close() error {
	_ = s.wholeConn.Close()
	return nil
}

// ExecContext implements driver.ExecerContext.
func (s *serverSession) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	sent := s.wire.sent.Load()
	result, err := s.wholeConn.ExecContext(ctx, query, args)
	return result, s.judged(err, sent)
}

// QueryContext implements driver.QueryerContext.
func (s *serverSession) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	sent := s.wire.sent.Load()
	rows, err := s.wholeConn.QueryContext(ctx, query, args)
	return rows, s.judged(err, sent)
}

// PrepareContext implements driver.ConnPrepareContext.
func (s *serverSession) PrepareContext(ctx context.Context, query string) (driver.Stmt, error) {
	prepared, err := s.wholeConn.PrepareContext(ctx, query)
	if err != nil {
		return nil, s.judged(err, s.wire.sent.Load()) // it carries nothing out, so that it may be sent again
	}
	whole, ok := prepared.(wholeStmt)
	if !ok {
		_ = prepared.Close()
		return nil, errNoMethod
	}
	return statement{wholeStmt: whole, session: s}, nil
}

// BeginTx implements driver.ConnBeginTx.
func (s *serverSession) BeginTx(ctx context.Context, opts driver.TxOptions) (driver.Tx, error) {
	tx, err := s.wholeConn.BeginTx(ctx, opts)
	if err != nil {
		return nil, err
	}
	s.within = true
	return transaction{Tx: tx, session: s}, nil
}

// ResetSession implements driver.SessionResetter.
func (s *serverSession) ResetSession(ctx context.Context) error {
	if s.useless() {
		return driver.ErrBadConn
	}
	return s.wholeConn.ResetSession(ctx)
}

// IsValid implements driver.Validator.
func (s *serverSession) IsValid() bool { return !s.useless() && s.wholeConn.IsValid() }

func (s *serverSession) useless() bool { return s.stale || s.losses != s.check.losses.Load() }

// judged returns the error of a statement as database/sql is to have it. It sends a statement again after ErrBadConn, which
// the driver also returns where the server ended a session in the midst of it: only what was not sent, or certainly refused,
// may be sent again.
func (s *serverSession) judged(err error, sent uint64) error {
	c := code(err)
	if isLost(c) {
		s.check.losses.CompareAndSwap(s.losses, s.losses+1)
	}
	switch {
	case err == nil:
	case errors.Is(err, driver.ErrBadConn):
		s.stale = true
		if s.wire.sent.Load() != sent {
			return errEnded
		}
	case isUseless(err, c) && !s.within:
		s.stale = true
		return fmt.Errorf("%w: %w", driver.ErrBadConn, err)
	case isUseless(err, c), strings.HasPrefix(c, classConnection), strings.HasPrefix(c, classEnding):
		s.stale = true
	}
	return err
}

// isLost tells whether c is the code of a session which a pooler has given away: what was prepared is not there, or another
// client's is.
func isLost(c string) bool { return c == codeNotPrepared || c == codePreparedTwice }

// useless tells whether c is the code of a session that another one is better than, for the same statement: a standby's or a lost one.
func useless(c string) bool { return c == codeReadOnly || isLost(c) }

// isUseless tells whether another session is better, also for what was prepared before a column of its answer got another type.
func isUseless(err error, c string) bool {
	if c != codeNotSupported {
		return useless(c)
	}
	pe, ok := errors.AsType[*pq.Error](err)
	return ok && (pe.Routine == "RevalidateCachedQuery" || strings.Contains(pe.Message, "cached plan must not change"))
}

// classEnding are the codes of servers that stop, start, or end a session.
const classEnding = "57P"

// wholeStmt is what database/sql asks of a prepared statement beside the least.
type wholeStmt interface {
	driver.Stmt
	driver.StmtExecContext
	driver.StmtQueryContext
}

// statement is one of a session.
type statement struct {
	wholeStmt
	session *serverSession
}

// ExecContext implements driver.StmtExecContext.
func (s statement) ExecContext(ctx context.Context, args []driver.NamedValue) (driver.Result, error) {
	sent := s.session.wire.sent.Load()
	result, err := s.wholeStmt.ExecContext(ctx, args)
	return result, s.session.judged(err, sent)
}

// QueryContext implements driver.StmtQueryContext.
func (s statement) QueryContext(ctx context.Context, args []driver.NamedValue) (driver.Rows, error) {
	sent := s.session.wire.sent.Load()
	rows, err := s.wholeStmt.QueryContext(ctx, args)
	return rows, s.session.judged(err, sent)
}

// transaction is one of a session.
type transaction struct {
	driver.Tx
	session *serverSession
}

// Commit ends the transaction. Its error is never a reason to send anything again.
func (t transaction) Commit() error {
	t.session.within = false
	return t.Tx.Commit()
}

// Rollback ends the transaction.
func (t transaction) Rollback() error {
	t.session.within = false
	return t.Tx.Rollback()
}

// wire counts what is written to a session's server.
type wire struct{ sent atomic.Uint64 }

type wireKey struct{}

// counting dials for sessions. What is dialled besides, to cancel a statement, is not counted.
type counting struct{ dialer }

// DialContext implements pq.DialerContext.
func (d counting) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := d.dialer.DialContext(ctx, network, address)
	w, ok := ctx.Value(wireKey{}).(*wire)
	if err != nil || !ok {
		return conn, err
	}
	return &counted{Conn: conn, wire: w}, nil
}

type counted struct {
	net.Conn
	wire *wire
}

// Write counts what was sent at least in part.
func (c *counted) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	if n > 0 || err == nil {
		c.wire.sent.Add(1)
	}
	return n, err
}

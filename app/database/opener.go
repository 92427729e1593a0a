package database

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/lib/pq"
)

// errNoAnswer is the cause when a connection was accepted and its first statement not answered in time.
var errNoAnswer = errors.New("no answer to the first statement")

// opener opens connections and sets the parameters of their sessions by a statement: PgBouncer refuses most parameters in the
// startup message, into which the driver puts every unknown key of a DSN.
type opener struct {
	plain    driver.Connector
	key      string        // the setting that holds the DSN, for errors
	limit    time.Duration // for a connection's first statements; 0 for none
	settings string
	check    *sessionCheck
}

// newOpener returns an opener that sets the run-time parameters on plain's connections.
func newOpener(plain driver.Connector, key string, limit time.Duration, parameters map[string]string) *opener {
	var calls []string
	for _, name := range slices.Sorted(maps.Keys(parameters)) {
		// Not SET, which takes a quoted list for a single element.
		calls = append(calls, fmt.Sprintf("set_config(%s, %s, false)", pq.QuoteLiteral(name), pq.QuoteLiteral(parameters[name])))
	}
	o := &opener{plain: plain, key: key, limit: limit, check: newSessionCheck()}
	if len(calls) > 0 {
		o.settings = "SELECT " + strings.Join(calls, ", ")
	}
	return o
}

// Connect opens a connection with its own session, its parameters set, that accepts writes. The limit covers all statements
// until then; a connection for migrations has no other limit.
func (o *opener) Connect(ctx context.Context) (driver.Conn, error) {
	c, err := o.dial(ctx)
	if err != nil {
		return nil, err
	}
	if err := o.prepare(ctx, c); err != nil {
		_ = c.Close()
		return nil, err
	}
	return c.Conn, nil
}

func (o *opener) prepare(ctx context.Context, c *newConn) error {
	if err := o.check.run(ctx, o, c); err != nil {
		return err
	}
	if o.settings != "" {
		if _, err := o.queryFirst(ctx, c, o.settings); err != nil {
			return fmt.Errorf("session settings: %w", err)
		}
	}
	if err := writable(o.queryFirst(ctx, c, readOnly)); err != nil {
		return err
	}
	return c.setDeadline(0)
}

// Driver implements driver.Connector.
func (o *opener) Driver() driver.Driver { return o.plain.Driver() }

// newConn is a connection with a deadline, before it is returned to the pool.
type newConn struct {
	driver.Conn
	socket *socket
}

// socket holds the network connection while it is being opened.
type socket struct {
	mu      sync.Mutex
	conn    *connection // the last one dialled; nil for none
	aborted bool
}

type socketKey struct{}

// set stores a dialled connection, and closes it if the opening was aborted.
func (s *socket) set(c *connection) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conn = c; s.aborted {
		_ = c.Close()
	}
}

func (s *socket) get() *connection {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.conn
}

// abort ends the opening by closing the connection: the driver could overwrite a deadline at that moment.
func (s *socket) abort() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.aborted = true; s.conn != nil {
		_ = s.conn.Close()
	}
}

// dial opens a connection without parameters.
func (o *opener) dial(ctx context.Context) (*newConn, error) {
	s := &socket{}
	// While the driver waits for the server it ignores ctx and observes connect_timeout alone.
	release := context.AfterFunc(ctx, s.abort)
	conn, err := o.plain.Connect(context.WithValue(ctx, socketKey{}, s))
	if !release() {
		if err == nil {
			_ = conn.Close()
		}
		return nil, ctx.Err()
	}
	if err != nil {
		return nil, o.explain(err)
	}
	c := &newConn{Conn: conn, socket: s}
	if err := c.setDeadline(o.limit); err != nil {
		_ = conn.Close()
		return nil, err
	}
	return c, nil
}

// setDeadline sets the deadline of the connection to limit from now; 0 removes it.
func (c *newConn) setDeadline(limit time.Duration) error {
	s, at := c.socket.get(), time.Time{}
	if s == nil {
		return nil
	}
	if limit > 0 {
		at = time.Now().Add(limit)
	}
	return s.SetDeadline(at)
}

// queryFirst runs one of a connection's first statements and returns the first value as text, "" for NULL. A pooler accepts
// clients before it has a server for them, so a lack of servers shows here.
func (o *opener) queryFirst(ctx context.Context, c *newConn, statement string) (string, error) {
	session, ok := c.Conn.(driver.QueryerContext)
	if !ok {
		return "", errors.New("the driver's connection cannot query")
	}
	begin := time.Now()
	value, err := text(session.QueryContext(ctx, statement, nil))
	if err != nil && ctx.Err() == nil && (isTimeout(err) || errors.Is(err, driver.ErrBadConn) && time.Since(begin) > time.Second) {
		err = errors.Join(errNoAnswer, err)
	}
	return value, o.explain(err)
}

// text returns the first value of rows as text, "" for none.
func text(rows driver.Rows, err error) (string, error) {
	if err != nil {
		return "", err
	}
	values := make([]driver.Value, len(rows.Columns()))
	err = rows.Next(values)
	closing := rows.Close()
	switch {
	case err != nil && !errors.Is(err, io.EOF):
		return "", err
	case err != nil || len(values) == 0 || values[0] == nil:
		return "", closing
	}
	return fmt.Sprintf("%s", values[0]), closing
}

// explain returns a PoolerError if a pooler, or the server, is full.
func (o *opener) explain(err error) error {
	if err == nil || !isFull(err) {
		return err
	}
	return &PoolerError{cause: err,
		text: fmt.Sprintf("%s: no session is left for another connection, or the server does not answer: the limits of a "+
			"pooler (PgBouncer: default_pool_size, max_client_conn) must suffice for all replicas", o.key), full: true}
}

// PoolerError is the error of a pooler, or server, that is full or does not support sessions. Its text names the setting and is
// safe for clients.
type PoolerError struct {
	text  string
	cause error // nil for none
	full  bool  // no further connection is available now
}

// Error implements error.
func (e *PoolerError) Error() string { return e.text }

// Temporary tells whether a later attempt may succeed: it is full now.
func (e *PoolerError) Temporary() bool { return e.full }

// Unwrap returns the driver's error, or nil.
func (e *PoolerError) Unwrap() error { return e.cause }

// isFull tells whether err is that of a server or pooler without room for another connection.
func isFull(err error) bool {
	pe, ok := errors.AsType[*pq.Error](err)
	if !ok {
		return errors.Is(err, errNoAnswer)
	}
	return pe.Code == codeTooManyConnections || strings.HasPrefix(string(pe.Code), classConnection) &&
		(strings.Contains(pe.Message, "max_client_conn") || strings.Contains(pe.Message, "query_wait_timeout"))
}

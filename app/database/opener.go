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

// errNoAnswer is the cause where a connection was let in and its first statement not answered in time.
var errNoAnswer = errors.New("no answer to the first statement")

// opener opens connections and sets their sessions' settings by a statement: PgBouncer refuses most of them in the message
// that starts a connection, where the driver puts every key of a DSN that it does not know itself.
type opener struct {
	plain    driver.Connector
	key      string        // the setting that holds the DSN, for errors
	limit    time.Duration // for a connection's first statements; 0 for none
	settings string
	check    *poolingCheck
}

// newOpener returns an opener of plain, which has the run-time parameters to set.
func newOpener(plain driver.Connector, key string, limit time.Duration, parameters map[string]string) *opener {
	var calls []string
	for _, name := range slices.Sorted(maps.Keys(parameters)) {
		// Not SET, which would take a list for one quoted element of it.
		calls = append(calls, fmt.Sprintf("set_config(%s, %s, false)", pq.QuoteLiteral(name), pq.QuoteLiteral(parameters[name])))
	}
	o := &opener{plain: plain, key: key, limit: limit, check: newPoolingCheck()}
	if len(calls) > 0 {
		o.settings = "SELECT " + strings.Join(calls, ", ")
	}
	return o
}

// Connect opens a connection whose session is its own, has its settings and takes writes. The limit holds for all that is asked
// of it before it is handed on: a connection for migrations has no other.
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

func (o *opener) prepare(ctx context.Context, c *opened) error {
	if err := o.check.run(ctx, o, c); err != nil {
		return err
	}
	if o.settings != "" {
		if _, err := o.first(ctx, c, o.settings); err != nil {
			return fmt.Errorf("session settings: %w", err)
		}
	}
	if err := writable(o.first(ctx, c, readOnly)); err != nil {
		return err
	}
	return c.limited(0)
}

// Driver implements driver.Connector.
func (o *opener) Driver() driver.Driver { return o.plain.Driver() }

// opened is a connection that answers no statement late until it is handed on.
type opened struct {
	driver.Conn
	socket *socket
}

// socket holds what a connection is opened on.
type socket struct {
	mu    sync.Mutex
	conn  *connection // the last one that was dialled; nil for none
	ended bool
}

type socketKey struct{}

// set has the opening go on with a connection, and closes it where the opening has ended.
func (s *socket) set(c *connection) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conn = c; s.ended {
		_ = c.Close()
	}
}

func (s *socket) get() *connection {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.conn
}

// end ends the opening, whatever is waited for. The connection is closed: a time limit would be lost where the driver sets
// another at that moment.
func (s *socket) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended = true; s.conn != nil {
		_ = s.conn.Close()
	}
}

// dial opens a connection without settings.
func (o *opener) dial(ctx context.Context) (*opened, error) {
	s := &socket{}
	// The driver itself heeds no context while the server lets it wait, only connect_timeout.
	release := context.AfterFunc(ctx, s.end)
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
	c := &opened{Conn: conn, socket: s}
	if err := c.limited(o.limit); err != nil {
		_ = conn.Close()
		return nil, err
	}
	return c, nil
}

// limited has the connection answer within limit from now; 0 is no limit but that of each statement.
func (c *opened) limited(limit time.Duration) error {
	s, at := c.socket.get(), time.Time{}
	if s == nil {
		return nil
	}
	if limit > 0 {
		at = time.Now().Add(limit)
	}
	return s.SetDeadline(at)
}

// first runs one of a connection's first statements and returns the first text that it answers, "" for NULL. A pooler lets
// clients log in that it has no server for, so this is where the lack of one shows.
func (o *opener) first(ctx context.Context, c *opened, statement string) (string, error) {
	session, ok := c.Conn.(driver.QueryerContext)
	if !ok {
		return "", errors.New("the driver's connection cannot query")
	}
	begun := time.Now()
	value, err := text(session.QueryContext(ctx, statement, nil))
	if err != nil && ctx.Err() == nil && (late(err) || errors.Is(err, driver.ErrBadConn) && time.Since(begun) > time.Second) {
		err = errors.Join(errNoAnswer, err)
	}
	return value, o.explain(err)
}

// text returns the first text of rows, "" for none.
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

// explain names the cause of an error where a pooler, or a server, has no room for one more connection.
func (o *opener) explain(err error) error {
	if err == nil || !lacksRoom(err) {
		return err
	}
	return &PoolerError{cause: err, text: fmt.Sprintf("%s: has no session for one more connection, or does not answer: a pooler in "+
		"between (PgBouncer: default_pool_size, max_client_conn) must let all replicas have theirs", o.key), full: true}
}

// PoolerError says that what stands between Inner and a database does not serve it. Its text names the setting, and may be
// shown to everybody.
type PoolerError struct {
	text  string
	cause error // nil for none
	full  bool  // another connection is not to be had now
}

// Error implements error.
func (e *PoolerError) Error() string { return e.text }

// Temporary tells whether it may serve later: it has no room now.
func (e *PoolerError) Temporary() bool { return e.full }

// Unwrap returns the driver's error, or nil.
func (e *PoolerError) Unwrap() error { return e.cause }

// lacksRoom tells whether err is that of a server, or pooler, that has no room for a connection.
func lacksRoom(err error) bool {
	pe, ok := errors.AsType[*pq.Error](err)
	if !ok {
		return errors.Is(err, errNoAnswer)
	}
	return pe.Code == codeTooManyConnections || strings.HasPrefix(string(pe.Code), classConnection) &&
		(strings.Contains(pe.Message, "max_client_conn") || strings.Contains(pe.Message, "query_wait_timeout"))
}

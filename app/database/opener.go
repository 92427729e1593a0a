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
	"sync/atomic"
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

// Connect opens a connection whose session is its own and has its settings.
func (o *opener) Connect(ctx context.Context) (driver.Conn, error) {
	c, err := o.dial(ctx)
	if err != nil {
		return nil, err
	}
	if err := o.check.run(ctx, o, c); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	if o.settings != "" {
		if _, err := o.first(ctx, c, o.settings); err != nil {
			return nil, errors.Join(fmt.Errorf("session settings: %w", err), c.Close())
		}
	}
	return c.Conn, c.limited(0)
}

// Driver implements driver.Connector.
func (o *opener) Driver() driver.Driver { return o.plain.Driver() }

// opened is a connection that answers no statement late until it is handed on.
type opened struct {
	driver.Conn
	socket *atomic.Pointer[connection]
}

type socketKey struct{}

// dial opens a connection without settings.
func (o *opener) dial(ctx context.Context) (*opened, error) {
	socket := &atomic.Pointer[connection]{}
	// The driver itself heeds no context while the server lets it wait, only connect_timeout.
	release := context.AfterFunc(ctx, func() {
		if s := socket.Load(); s != nil {
			_ = s.SetDeadline(time.Now())
		}
	})
	conn, err := o.plain.Connect(context.WithValue(ctx, socketKey{}, socket))
	if !release() {
		if err == nil {
			err = conn.Close()
		}
		return nil, errors.Join(ctx.Err(), o.explain(err))
	}
	if err != nil {
		return nil, o.explain(err)
	}
	c := &opened{Conn: conn, socket: socket}
	if err := c.limited(o.limit); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return c, nil
}

// limited has the connection answer within limit from now; 0 is no limit but that of each statement.
func (c *opened) limited(limit time.Duration) error {
	s, at := c.socket.Load(), time.Time{}
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

package database

import (
	"context"
	"errors"
	"io"
	"net"
	"sync/atomic"
	"syscall"
	"time"
)

var errClosed = errors.New("the database closed the connection")

// answerMargin is the time beyond statement_timeout after which the connection of a silent server is closed.
const answerMargin = 5 * time.Second

// dialer opens connections with a time limit for each answer: the driver itself waits for a silent server even after the
// statement's context has ended. A connection that ends before the answer is an error: the driver would return ErrBadConn,
// and database/sql would repeat a statement that the server may have executed, such as an insert of a task or a claim. Only a
// statement that was certainly not sent is repeated.
type dialer struct{ limit time.Duration }

// Dial implements pq.Dialer.
func (d dialer) Dial(network, address string) (net.Conn, error) {
	return d.DialContext(context.Background(), network, address)
}

// DialTimeout implements pq.Dialer.
func (d dialer) DialTimeout(network, address string, timeout time.Duration) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	return d.DialContext(ctx, network, address)
}

// DialContext implements pq.DialerContext.
func (d dialer) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	var plain net.Dialer
	conn, err := plain.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	c := &connection{Conn: conn, limit: d.limit}
	if withoutLimit, ok := ctx.Value(withoutLimitKey{}).(context.Context); ok {
		c.limit = 0
		// Not a deadline: the driver would overwrite it.
		c.release = context.AfterFunc(withoutLimit, func() { time.AfterFunc(answerMargin, func() { _ = c.Conn.Close() }) })
	}
	if s, ok := ctx.Value(socketKey{}).(*socket); ok {
		s.set(c) // nil for a connection that cancels a statement
	}
	return c, nil
}

// withoutLimitKey marks the context of a connection without a limit.
type withoutLimitKey struct{}

// withoutLimit returns a context for a connection whose statements may take until ctx ends. TCP keepalives still detect a
// dead host.
func withoutLimit(ctx context.Context) context.Context {
	return context.WithValue(ctx, withoutLimitKey{}, ctx)
}

// connection is a connection to the database.
type connection struct {
	net.Conn
	limit    time.Duration // of each read and write, 0 for none; an idle connection is not read
	latest   atomic.Pointer[time.Time]
	received atomic.Bool // since the last write
	release  func() bool // stops the context's callback; nil for none
}

// Close closes the connection.
func (c *connection) Close() error {
	if c.release != nil {
		c.release()
	}
	return c.Conn.Close()
}

// Read fails where the server has closed the connection.
func (c *connection) Read(p []byte) (int, error) {
	if err := c.SetReadDeadline(c.deadline()); err != nil {
		return 0, err
	}
	n, err := c.Conn.Read(p)
	c.received.Store(true)
	if errors.Is(err, io.EOF) {
		err = c.closed("read")
	}
	return n, err
}

// Write sends nothing if the server has closed the connection since its last answer, so that the driver can use another one.
func (c *connection) Write(p []byte) (int, error) {
	if c.received.Swap(false) && c.closedByServer() {
		return 0, c.closed("write")
	}
	if err := c.SetWriteDeadline(c.deadline()); err != nil {
		return 0, err
	}
	return c.Conn.Write(p)
}

// SetDeadline implements net.Conn. The driver sets a deadline while it connects.
func (c *connection) SetDeadline(t time.Time) error {
	c.latest.Store(&t)
	return c.Conn.SetDeadline(t)
}

// deadline returns the deadline of the next read or write: the driver's own while it connects.
func (c *connection) deadline() time.Time {
	if latest := c.latest.Load(); latest != nil && !latest.IsZero() {
		return *latest
	}
	if c.limit > 0 {
		return time.Now().Add(c.limit)
	}
	return time.Time{}
}

func (c *connection) closed(what string) error {
	return &net.OpError{Op: what, Net: c.RemoteAddr().Network(), Addr: c.RemoteAddr(), Err: errClosed}
}

// closedByServer tells without blocking whether the server has closed the connection or sent something unsolicited, which
// announces that.
func (c *connection) closedByServer() bool {
	socket, ok := c.Conn.(syscall.Conn)
	if !ok {
		return false
	}
	raw, err := socket.SyscallConn()
	if err != nil {
		return true
	}
	silent := false
	err = raw.Control(func(fd uintptr) {
		var one [1]byte
		_, _, err := syscall.Recvfrom(int(fd), one[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		silent = errors.Is(err, syscall.EAGAIN) || errors.Is(err, syscall.EINTR)
	})
	return err != nil || !silent
}

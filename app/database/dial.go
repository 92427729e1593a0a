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

// answerMargin is what a server gets beyond its own limit of a statement before its connection is given up.
const answerMargin = 5 * time.Second

// dialer opens connections that give up on a server which does not answer within limit: the driver itself would wait for
// it even after a statement's context has ended. And a lost answer is an error on them: the driver takes the end of a
// connection for a reason to have database/sql send a statement again that the server may have carried out. Then a task is
// there twice, or a claim that nobody knows of. Only what was certainly not sent is sent again.
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
	if lasting, ok := ctx.Value(lastingKey{}).(context.Context); ok {
		c.limit = 0
		// Not a time limit, which the driver's own would replace.
		c.release = context.AfterFunc(lasting, func() { time.AfterFunc(answerMargin, func() { _ = c.Conn.Close() }) })
	}
	if s, ok := ctx.Value(socketKey{}).(*socket); ok {
		s.set(c) // not one that is dialled to cancel a statement
	}
	return c, nil
}

// lastingKey marks the context of a connection without a limit.
type lastingKey struct{}

// lasting returns a context for opening a connection on which a statement may take as long as ctx lives. A host that is
// gone is noticed all the same, by the kernel's probes.
func lasting(ctx context.Context) context.Context { return context.WithValue(ctx, lastingKey{}, ctx) }

// connection is one to the database.
type connection struct {
	net.Conn
	limit   time.Duration // of each read and write, 0 for none; an idle connection is not read from
	latest  atomic.Pointer[time.Time]
	heard   atomic.Bool // since the last write
	release func() bool // ends what its context has with it; nil for none
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
	c.heard.Store(true)
	if errors.Is(err, io.EOF) {
		err = c.closed("read")
	}
	return n, err
}

// Write sends nothing where the server has closed the connection since its last answer, so that the driver may use another.
func (c *connection) Write(p []byte) (int, error) {
	if c.heard.Swap(false) && c.gone() {
		return 0, c.closed("write")
	}
	if err := c.SetWriteDeadline(c.deadline()); err != nil {
		return 0, err
	}
	return c.Conn.Write(p)
}

// SetDeadline implements net.Conn. The driver sets one for as long as it connects.
func (c *connection) SetDeadline(t time.Time) error {
	c.latest.Store(&t)
	return c.Conn.SetDeadline(t)
}

// deadline is that of the next read or write: while it connects, the one for all of that.
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

// gone tells, without waiting, whether the server has closed the connection or said something unasked, which is that it is
// about to.
func (c *connection) gone() bool {
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

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

// idleCheck is the silence after which a connection is looked at before it is used: the server may have closed it.
const idleCheck = time.Second

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
	c.used.Store(time.Now().UnixNano())
	return c, nil
}

// connection is one to the database.
type connection struct {
	net.Conn
	limit time.Duration // of each read and write; an idle connection is not read from
	used  atomic.Int64  // last, in nanoseconds since 1970
}

// Read fails where the server has closed the connection.
func (c *connection) Read(p []byte) (int, error) {
	if err := c.SetReadDeadline(time.Now().Add(c.limit)); err != nil {
		return 0, err
	}
	n, err := c.Conn.Read(p)
	c.used.Store(time.Now().UnixNano())
	if errors.Is(err, io.EOF) {
		err = c.closed("read")
	}
	return n, err
}

// Write sends nothing where the server has closed the connection while it was idle, so that the driver may use another.
func (c *connection) Write(p []byte) (int, error) {
	now := time.Now().UnixNano()
	if last := c.used.Swap(now); time.Duration(now-last) > idleCheck && c.gone() {
		return 0, c.closed("write")
	}
	if err := c.SetWriteDeadline(time.Now().Add(c.limit)); err != nil {
		return 0, err
	}
	return c.Conn.Write(p)
}

func (c *connection) closed(what string) error {
	return &net.OpError{Op: what, Net: c.RemoteAddr().Network(), Addr: c.RemoteAddr(), Err: errClosed}
}

// gone tells whether the server has closed the connection, without waiting.
func (c *connection) gone() bool {
	socket, ok := c.Conn.(syscall.Conn)
	if !ok {
		return false
	}
	raw, err := socket.SyscallConn()
	if err != nil {
		return true
	}
	gone := false
	err = raw.Read(func(fd uintptr) bool {
		var one [1]byte
		n, _, err := syscall.Recvfrom(int(fd), one[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		gone = (err == nil && n == 0) || (err != nil && !errors.Is(err, syscall.EAGAIN) && !errors.Is(err, syscall.EINTR))
		return true
	})
	return gone || err != nil
}

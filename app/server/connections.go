package server

import (
	"container/list"
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"sync"
)

// States of the connections that are dropped at the limit, values of a label.
const (
	stateSending = "sending"
	stateIdle    = "idle"
	stateNew     = "new"
)

// connections limits the number of open connections. At the limit a new connection replaces the one that has been sending its
// request for the longest time, else the one that has been idle for the longest time, so that silent clients cannot exclude
// others.
type connections struct {
	max     int
	metrics *Metrics

	mu   sync.Mutex
	open map[net.Conn]*connection
	// sending holds connections with an incomplete request, idle those between two requests; the oldest come first.
	sending, idle *list.List
}

// connection is an open connection. Its place is nil while its request is being handled.
type connection struct {
	conn  net.Conn
	owner *connections
	in    *list.List
	place *list.Element
}

type connectionKey struct{}

func newConnections(limit int, m *Metrics) *connections {
	return &connections{max: limit, metrics: m, open: map[net.Conn]*connection{}, sending: list.New(), idle: list.New()}
}

// listen returns a listener that enforces the limit.
func (c *connections) listen(l net.Listener) net.Listener { return &limitedListener{l, c} }

type limitedListener struct {
	net.Listener
	connections *connections
}

// Accept returns the next connection for which there is room.
func (l *limitedListener) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if l.connections.makeRoom() {
			return conn, nil
		}
		_ = conn.Close()
	}
}

// makeRoom closes a connection if the limit is reached, and tells whether a new one may be opened.
func (c *connections) makeRoom() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.max < 1 || len(c.open) < c.max {
		return true
	}
	for _, candidates := range []struct {
		waiting *list.List
		state   string
	}{{c.sending, stateSending}, {c.idle, stateIdle}} {
		if oldest := candidates.waiting.Front(); oldest != nil {
			victim, _ := oldest.Value.(*connection)
			c.remove(victim)
			closeAtOnce(victim.conn)
			c.metrics.dropped(candidates.state)
			return true
		}
	}
	c.metrics.dropped(stateNew)
	return false
}

// closeAtOnce closes without TLS's close_notify, which could block.
func closeAtOnce(conn net.Conn) {
	if t, ok := conn.(*tls.Conn); ok {
		conn = t.NetConn()
	}
	_ = conn.Close()
}

// register is the server's ConnContext: it is called before anything is read.
func (c *connections) register(ctx context.Context, conn net.Conn) context.Context {
	c.mu.Lock()
	defer c.mu.Unlock()
	one := &connection{conn: conn, owner: c}
	c.open[conn] = one
	c.move(one, c.sending)
	c.metrics.connections(len(c.open))
	return context.WithValue(ctx, connectionKey{}, one)
}

// stateChanged is the server's ConnState. A connection becomes active when the header of a request is complete.
func (c *connections) stateChanged(conn net.Conn, state http.ConnState) {
	c.mu.Lock()
	defer c.mu.Unlock()
	one, ok := c.open[conn]
	if !ok {
		return
	}
	switch state {
	case http.StateNew: // registered already
	case http.StateActive:
		c.move(one, nil)
	case http.StateIdle:
		c.move(one, c.idle)
	case http.StateClosed, http.StateHijacked:
		c.remove(one)
		c.metrics.connections(len(c.open))
	}
}

// receiving marks the connection of a request as sending while its body is read.
func receiving(ctx context.Context) (received func()) {
	one, ok := ctx.Value(connectionKey{}).(*connection)
	if !ok {
		return func() {}
	}
	one.owner.locked(func(c *connections) { c.move(one, c.sending) })
	return func() { one.owner.locked(func(c *connections) { c.move(one, nil) }) }
}

func (c *connections) locked(do func(*connections)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	do(c)
}

// move moves an open connection to the end of a list, or out of all lists.
func (c *connections) move(one *connection, to *list.List) {
	if c.open[one.conn] != one {
		return
	}
	if one.in != nil {
		one.in.Remove(one.place)
	}
	one.in, one.place = to, nil
	if to != nil {
		one.place = to.PushBack(one)
	}
}

func (c *connections) remove(one *connection) {
	c.move(one, nil)
	delete(c.open, one.conn)
}

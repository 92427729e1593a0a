package server

import (
	"container/list"
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"sync"
)

// connections keeps the number of open connections below a limit. When all are taken a new one takes the place of the one
// that has been sending its request for longest, else of the one that has been idle for longest, so that clients which send
// nothing cannot keep others out.
type connections struct {
	max     int
	metrics *Metrics

	mu   sync.Mutex
	open map[net.Conn]*connection
	// sending are those whose request is not complete, idle those between two requests; the longest waiting come first.
	sending, idle *list.List
}

// connection is one that is open. Its place is nil while its request is being worked on.
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

// listen returns a listener that makes room before it accepts.
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

// makeRoom tells whether one more connection may be opened, after it closed another one if need be.
func (c *connections) makeRoom() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.max < 1 || len(c.open) < c.max {
		return true
	}
	for _, where := range []struct {
		waiting *list.List
		state   string
	}{{c.sending, "sending"}, {c.idle, "idle"}} {
		if oldest := where.waiting.Front(); oldest != nil {
			victim, _ := oldest.Value.(*connection)
			c.remove(victim)
			closeAtOnce(victim.conn)
			c.metrics.dropped(where.state)
			return true
		}
	}
	c.metrics.dropped("new")
	return false
}

// closeAtOnce closes without TLS's farewell, for which one would have to wait.
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

// changed is the server's ConnState. A connection becomes active when the header of a request is complete.
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

// receiving marks the connection of a request while its body is read.
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

// move puts a connection that is open at the end of a list, or into none.
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

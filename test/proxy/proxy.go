// Package proxy is a proxy between a program and a server, for tests. The one to a database can be cut, slowed down and
// silenced, and can lose the answers to executed statements. For the one to a cluster see Cluster.
package proxy

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"net"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Proxy is a proxy to a database, until Close.
type Proxy struct {
	// DSN is the DSN of the database through the proxy.
	DSN      string
	listener net.Listener
	stop     context.CancelFunc
	done     sync.WaitGroup

	mu      sync.Mutex
	target  string
	open    map[net.Conn]bool
	shut    bool
	slow    time.Duration  // delay of everything that is forwarded
	lose    map[string]int // number of answers to lose, by words of the statement
	lost    int
	sent    map[string]int // how often each text was sent
	kinds   map[string]int // how often each text was sent since LoseOfEveryKind; nil before
	replace []replacement  // answers to replace by errors
	silence string         // words of the statement that begins the silence; "" for none
}

// New starts a proxy to the database of a DSN, until its test ends.
func New(t testing.TB, dsn string) *Proxy {
	t.Helper()
	// The program that uses it stops after the test, and may open a new connection for that.
	p, err := Start(context.WithoutCancel(t.Context()), dsn)
	require.NoError(t, err)
	t.Cleanup(p.Close)
	return p
}

// Start starts a proxy to the database of a DSN, until Close.
func Start(ctx context.Context, dsn string) (*Proxy, error) {
	u, err := url.Parse(dsn)
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(ctx)
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		stop()
		return nil, err
	}
	p := &Proxy{
		target: u.Host, listener: listener, stop: stop, open: map[net.Conn]bool{}, lose: map[string]int{}, sent: map[string]int{},
	}
	u.Host = listener.Addr().String()
	p.DSN = u.String()
	p.done.Go(func() { p.serve(ctx) })
	return p, nil
}

// Close closes all connections and accepts no more.
func (p *Proxy) Close() {
	p.stop()
	_ = p.listener.Close()
	p.Cut()
	p.done.Wait()
}

// Cut closes all connections and refuses new ones until Restore.
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.shut = true
	for c := range p.open {
		_ = c.Close()
	}
	clear(p.open)
}

// Restore accepts connections again.
func (p *Proxy) Restore() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.shut = false
}

// LeadTo forwards new connections to the server of another DSN, as a DNS name after a failover. Open connections stay.
func (p *Proxy) LeadTo(t testing.TB, dsn string) {
	t.Helper()
	u, err := url.Parse(dsn)
	require.NoError(t, err)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.target = u.Host
}

func (p *Proxy) leadsTo() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.target
}

// Slow delays everything that is forwarded; 0 ends that.
func (p *Proxy) Slow(by time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.slow = by
}

func (p *Proxy) delay() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.slow
}

// admit registers two connections, or closes them.
func (p *Proxy) admit(from, to net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.shut {
		_, _ = from.Close(), to.Close()
		return false
	}
	p.open[from], p.open[to] = true, true
	return true
}

// Password returns the password in the database's DSN, which must not appear in logs.
func (p *Proxy) Password(t testing.TB) string {
	t.Helper()
	u, err := url.Parse(p.DSN)
	require.NoError(t, err)
	password, ok := u.User.Password()
	require.True(t, ok)
	return password
}

func (p *Proxy) serve(ctx context.Context) {
	var dialer net.Dialer
	for {
		from, err := p.listener.Accept()
		if err != nil {
			return
		}
		to, err := dialer.DialContext(ctx, "tcp", p.leadsTo())
		if err != nil {
			_ = from.Close()
			continue
		}
		if !p.admit(from, to) {
			continue
		}
		c := &connection{proxy: p, prepared: map[string]string{}}
		p.done.Go(func() { p.copy(to, from, c.asked) })
		p.done.Go(func() { p.copy(from, to, c.answered) })
	}
}

// copy forwards what pass returns until either side ends, then closes both.
func (p *Proxy) copy(to io.WriteCloser, from io.ReadCloser, pass func([]byte) ([]byte, bool)) {
	buffer := make([]byte, 1<<16)
	for {
		n, err := from.Read(buffer)
		passed, ok := pass(buffer[:n])
		if !ok {
			break
		}
		if by := p.delay(); by > 0 {
			<-time.After(by)
		}
		if _, failed := to.Write(passed); err != nil || failed != nil {
			break
		}
	}
	_, _ = to.Close(), from.Close()
}

// connection is the state of one connection's statements. Their texts are prepared under a name or none, and executed later
// with their arguments.
type connection struct {
	proxy *Proxy

	mu       sync.Mutex
	prepared map[string]string // text by name
	executed bool              // a statement whose answer is lost was executed
	silent   bool              // nothing is forwarded any more
	code     string            // of the answer to the current statement; "" for its own answer
	kept     []byte            // of its own answer
}

func (c *connection) asked(all []byte) ([]byte, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	messages := all
	for len(messages) >= 5 && messages[0] != 0 { // no type: the first message of a connection
		length := min(1+int(binary.BigEndian.Uint32(messages[1:])), len(messages))
		kind, content := messages[0], messages[5:length]
		messages = messages[length:]
		switch first, rest, _ := bytes.Cut(content, []byte{0}); kind {
		case 'P': // parse: name, text
			text, _, _ := bytes.Cut(rest, []byte{0})
			c.prepared[string(first)] = string(text)
		case 'B': // bind: portal, name
			name, _, _ := bytes.Cut(rest, []byte{0})
			c.silent = c.proxy.silences(c.prepared[string(name)]) || c.silent
			c.executed = c.proxy.takes(c.prepared[string(name)]) || c.executed
			if c.code == "" {
				c.code = c.proxy.replaces(c.prepared[string(name)])
			}
		case 'Q': // a text without arguments, such as COMMIT
			c.silent = c.proxy.silences(string(first)) || c.silent
			c.executed = c.proxy.takes(string(first)) || c.executed
		}
	}
	if c.silent {
		return nil, true
	}
	return all, true
}

func (c *connection) answered(part []byte) ([]byte, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.code != "" {
		return c.replaced(part), !c.executed
	}
	return part, !c.executed
}

package chaos_test

import (
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// proxy stands between a replica and the database, and can be cut, and lose the answers to
// statements that were carried out.
type proxy struct {
	dsn      string // the database's, by way of the proxy
	target   string
	listener net.Listener
	done     sync.WaitGroup

	mu   sync.Mutex
	open map[net.Conn]bool
	shut bool
	lose map[string]int // how many answers to statements with these words are to be lost
	lost int
}

func newProxy(t *testing.T, dsn string) *proxy {
	t.Helper()
	u, err := url.Parse(dsn)
	require.NoError(t, err)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	p := &proxy{target: u.Host, listener: listener, open: map[net.Conn]bool{}, lose: map[string]int{}}
	u.Host = listener.Addr().String()
	p.dsn = u.String()
	p.done.Go(p.serve)
	t.Cleanup(func() {
		_ = listener.Close()
		p.cut()
		p.done.Wait()
	})
	return p
}

// cut breaks all connections and lets none through until mend.
func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.shut = true
	for c := range p.open {
		_ = c.Close()
	}
	clear(p.open)
}

func (p *proxy) mend() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.shut = false
}

// admit keeps two connections to break them later, or breaks them now.
func (p *proxy) admit(from, to net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.shut {
		_, _ = from.Close(), to.Close()
		return false
	}
	p.open[from], p.open[to] = true, true
	return true
}

// loseAnswers has the answers to the next n statements with these words lost, and their connections broken.
func (p *proxy) loseAnswers(words string, n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lose[words] = n
}

// outstanding returns how many answers are still to be lost, and how many were.
func (p *proxy) outstanding() (left, lost int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, n := range p.lose {
		left += n
	}
	return left, p.lost
}

func (p *proxy) serve() {
	for {
		from, err := p.listener.Accept()
		if err != nil {
			return
		}
		to, err := net.Dial("tcp", p.target)
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

// copy moves what pass lets through until either side ends, then ends both.
func (p *proxy) copy(to io.WriteCloser, from io.ReadCloser, pass func([]byte) bool) {
	buffer := make([]byte, 1<<16)
	for {
		n, err := from.Read(buffer)
		if n > 0 && !pass(buffer[:n]) {
			break
		}
		if _, failed := to.Write(buffer[:n]); err != nil || failed != nil {
			break
		}
	}
	_, _ = to.Close(), from.Close()
}

// connection is what is known of one connection's statements. Their texts are sent to be prepared, under a name or none,
// and the arguments later, with which they are carried out.
type connection struct {
	proxy *proxy

	mu       sync.Mutex
	prepared map[string]string // text by name
	executed bool              // a statement whose answer is to be lost was carried out
}

func (c *connection) asked(messages []byte) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
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
			c.executed = c.executed || c.proxy.takes(c.prepared[string(name)])
		}
	}
	return true
}

func (c *connection) answered([]byte) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return !c.executed
}

// takes tells whether the answer to this statement is to be lost, and counts it.
func (p *proxy) takes(statement string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for words, n := range p.lose {
		if n > 0 && strings.Contains(statement, words) {
			p.lose[words]--
			p.lost++
			return true
		}
	}
	return false
}

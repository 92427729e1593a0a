package e2e_test

import (
	"io"
	"net"
	"net/url"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// proxy stands between Inner and the database, and can be cut.
type proxy struct {
	// dsn is the database's, by way of the proxy.
	dsn    string
	target string

	mu       sync.Mutex
	cut      bool
	open     map[net.Conn]bool
	listener net.Listener
	done     sync.WaitGroup
}

func newProxy(t *testing.T, dsn string) *proxy {
	t.Helper()
	u, err := url.Parse(dsn)
	require.NoError(t, err)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	p := &proxy{target: u.Host, open: map[net.Conn]bool{}, listener: listener}
	u.Host = listener.Addr().String()
	p.dsn = u.String()
	p.done.Go(p.serve)
	t.Cleanup(func() {
		_ = listener.Close()
		p.Cut()
		p.done.Wait()
	})
	return p
}

// Cut drops all connections and refuses new ones.
func (p *proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cut = true
	for c := range p.open {
		_ = c.Close()
	}
}

// Mend lets connections through again.
func (p *proxy) Mend() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cut = false
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
		if !p.add(from, to) {
			_ = from.Close()
			_ = to.Close()
			continue
		}
		p.done.Go(func() { p.copy(from, to) })
		p.done.Go(func() { p.copy(to, from) })
	}
}

func (p *proxy) add(conns ...net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range conns {
		if !p.cut {
			p.open[c] = true
		}
	}
	return !p.cut
}

// copy moves bytes until either side ends, then ends both.
func (p *proxy) copy(to, from net.Conn) {
	_, _ = io.Copy(to, from)
	_, _ = to.Close(), from.Close()
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.open, to)
	delete(p.open, from)
}

// password returns the password in the database's DSN.
func (p *proxy) password(t *testing.T) string {
	t.Helper()
	u, err := url.Parse(p.dsn)
	require.NoError(t, err)
	password, ok := u.User.Password()
	require.True(t, ok)
	return password
}

package postgres

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"sync"

	"app238.com/inner/test/stack/build"
	"app238.com/inner/test/stack/ports"
	"app238.com/inner/test/stack/process"
	"app238.com/inner/test/stack/workdir"
)

// BouncerOptions says how a PgBouncer is to be; its zero value is PgBouncer's own defaults.
type BouncerOptions struct {
	// Log receives progress of an installation; standard error unless set.
	Log io.Writer
	// Mode is PgBouncer's pool_mode; session unless set.
	Mode string
	// PoolSize is PgBouncer's default_pool_size; 20 unless set.
	PoolSize int
	// Upstream is the host:port of the server; that of the Server unless set.
	Upstream string
}

// Bouncer is a PgBouncer, the pooler of connections, in front of a server.
type Bouncer struct {
	dir     *workdir.Dir
	port    int
	program string
	server  *Server

	mu      sync.Mutex
	process *process.Process
}

// Bounce starts a PgBouncer in front of the server and returns when it takes connections. Its configuration has nothing but
// where it listens, where it leads and who may log in. It is closed by the caller, before the server.
func (s *Server) Bounce(ctx context.Context, opts BouncerOptions) (*Bouncer, error) {
	program, err := build.Debian(ctx, build.Options{Log: opts.Log}, "pgbouncer", "/usr/sbin/pgbouncer")
	if err != nil {
		return nil, err
	}
	port, err := ports.Free(ctx, 1)
	if err != nil {
		return nil, err
	}
	dir, err := workdir.New()
	if err != nil {
		return nil, err
	}
	b := &Bouncer{dir: dir, port: port[0], program: program, server: s}
	if err := errors.Join(s.account.own(dir.Path()), b.configure(opts)); err != nil {
		return nil, errors.Join(err, dir.Close())
	}
	if err := b.Restart(ctx); err != nil {
		return nil, errors.Join(err, b.Close())
	}
	return b, nil
}

func (b *Bouncer) configure(opts BouncerOptions) error {
	host, port, err := net.SplitHostPort(cmp.Or(opts.Upstream, net.JoinHostPort("127.0.0.1", strconv.Itoa(b.server.port))))
	if err != nil {
		return err
	}
	content := fmt.Sprintf(`[databases]
* = host=%s port=%s
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = %d
unix_socket_dir =
auth_type = scram-sha-256
auth_file = users.txt
`, host, port, b.port)
	if opts.Mode != "" {
		content += "pool_mode = " + opts.Mode + "\n"
	}
	if opts.PoolSize != 0 {
		content += fmt.Sprintf("default_pool_size = %d\n", opts.PoolSize)
	}
	for name, content := range map[string]string{
		"pgbouncer.ini": content, "users.txt": fmt.Sprintf("%q %q\n", superuser, b.server.password),
	} {
		file := filepath.Join(b.dir.Path(), name)
		if err := errors.Join(os.WriteFile(file, []byte(content), 0o600), b.server.account.own(file)); err != nil {
			return fmt.Errorf("configure PgBouncer: %w", err)
		}
	}
	return nil
}

// DSN is the address of a database by way of PgBouncer.
func (b *Bouncer) DSN(database string) (string, error) {
	address, err := url.Parse(b.server.DSN(database))
	if err != nil {
		return "", err
	}
	address.Host = b.address()
	return address.String(), nil
}

func (b *Bouncer) address() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(b.port)) }

// Restart ends PgBouncer at once, with all of its connections, where it runs, and starts it on the same port. It returns when
// it takes connections.
func (b *Bouncer) Restart(ctx context.Context) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.kill()
	started, err := process.Start(process.Spec{
		Args: []string{"pgbouncer.ini"}, Credential: b.server.account.credential, Dir: b.dir.Path(), Env: environment(),
		LogFile: filepath.Join(b.dir.Path(), "pgbouncer.log"), Name: "pgbouncer", Path: b.program,
	})
	if err != nil {
		return err
	}
	b.process = started
	return started.Await(ctx, readyPoll, func(ctx context.Context) error {
		var dialer net.Dialer
		conn, err := dialer.DialContext(ctx, "tcp", b.address())
		if err != nil {
			return err
		}
		return conn.Close()
	})
}

func (b *Bouncer) kill() {
	if b.process != nil {
		b.process.Kill()
		b.process = nil
	}
}

// Close ends PgBouncer and removes its files.
func (b *Bouncer) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.kill()
	return b.dir.Close()
}

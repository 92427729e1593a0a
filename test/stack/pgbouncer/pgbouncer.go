// Package pgbouncer runs throw-away PgBouncers in front of a PostgreSQL server: real ones, with their default configuration.
package pgbouncer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"app238.com/inner/test/stack/build"
	"app238.com/inner/test/stack/ports"
	"app238.com/inner/test/stack/process"
	"app238.com/inner/test/stack/workdir"
)

const (
	readyPoll = 10 * time.Millisecond
	stopGrace = 5 * time.Second
)

// Values of Options.Mode, PgBouncer's pool_mode.
const (
	Session     = "session"
	Transaction = "transaction"
	Statement   = "statement"
)

// Options says how the pooler is to be. Beyond them, its configuration is the databases, its address and the users.
type Options struct {
	// Log receives progress of an installation; standard error unless set.
	Log io.Writer
	// Mode is written as pool_mode unless empty; PgBouncer's default is Session.
	Mode string
	// PoolSize is written as default_pool_size unless 0; PgBouncer's default is 20.
	PoolSize int
	// Settings are further settings of the section [pgbouncer].
	Settings map[string]string
	// Upstream is the postgres:// URL of the server, with a user and a password. Clients log in with the same.
	Upstream string
}

// Pooler is a PgBouncer. Its methods may be called from several goroutines.
type Pooler struct {
	dir      *workdir.Dir
	program  string
	port     int
	upstream *url.URL

	mu      sync.Mutex
	process *process.Process // nil while stopped
}

// Start returns once the pooler takes connections. It listens on loopback only.
func Start(ctx context.Context, opts Options) (*Pooler, error) {
	program, err := build.Debian(ctx, build.Options{Log: opts.Log}, "pgbouncer", "/usr/sbin/pgbouncer")
	if err != nil {
		return nil, err
	}
	upstream, err := url.Parse(opts.Upstream)
	if err != nil {
		return nil, errors.New("the upstream's address is not a URL")
	}
	port, err := ports.Free(ctx, 1)
	if err != nil {
		return nil, err
	}
	dir, err := workdir.New()
	if err != nil {
		return nil, err
	}
	p := &Pooler{dir: dir, program: program, port: port[0], upstream: upstream}
	if err := errors.Join(p.write(opts), p.Restart(ctx)); err != nil {
		return nil, errors.Join(err, p.Close())
	}
	return p, nil
}

// write writes PgBouncer's configuration and its file of users.
func (p *Pooler) write(opts Options) error {
	password, _ := p.upstream.User.Password()
	users := fmt.Sprintf("%q %q\n", p.upstream.User.Username(), password)
	lines := []string{
		"[databases]",
		fmt.Sprintf("* = host=%s port=%s", p.upstream.Hostname(), p.upstream.Port()),
		"[pgbouncer]",
		"listen_addr = 127.0.0.1",
		"listen_port = " + strconv.Itoa(p.port),
		"unix_socket_dir =",
		"auth_type = scram-sha-256",
		"auth_file = " + p.file("users.txt"),
	}
	if opts.Mode != "" {
		lines = append(lines, "pool_mode = "+opts.Mode)
	}
	if opts.PoolSize != 0 {
		lines = append(lines, "default_pool_size = "+strconv.Itoa(opts.PoolSize))
	}
	for name, value := range opts.Settings {
		lines = append(lines, name+" = "+value)
	}
	return errors.Join(
		p.writeFile("users.txt", users),
		p.writeFile("pgbouncer.ini", strings.Join(lines, "\n")+"\n"),
	)
}

func (p *Pooler) writeFile(name, text string) error {
	credential, err := account()
	if err != nil {
		return err
	}
	if err := os.WriteFile(p.file(name), []byte(text), 0o600); err != nil || credential == nil {
		return err
	}
	return os.Chown(p.file(name), int(credential.Uid), int(credential.Gid))
}

func (p *Pooler) file(name string) string { return filepath.Join(p.dir.Path(), name) }

// DSN is the address of a database of the upstream by way of the pooler.
func (p *Pooler) DSN(database string) string {
	address := *p.upstream
	address.Host = net.JoinHostPort("127.0.0.1", strconv.Itoa(p.port))
	address.Path = "/" + database
	return address.String()
}

// LogFile is the pooler's log.
func (p *Pooler) LogFile() string { return p.file("pgbouncer.log") }

// Stop ends the pooler at once, breaking all connections through it.
func (p *Pooler) Stop(ctx context.Context) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.process == nil {
		return nil
	}
	defer func() { p.process = nil }()
	// SIGTERM is PgBouncer's immediate shutdown; SIGINT would wait for transactions.
	return p.process.StopWith(ctx, syscall.SIGTERM, stopGrace)
}

// Restart starts the pooler on the same port, stopping it first where it runs, and returns once it takes connections.
func (p *Pooler) Restart(ctx context.Context) error {
	if err := p.Stop(ctx); err != nil {
		return err
	}
	credential, err := account()
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	started, err := process.Start(process.Spec{
		Args:       []string{p.file("pgbouncer.ini")},
		Credential: credential,
		Dir:        p.dir.Path(),
		Env:        []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C", "TZ=UTC"},
		LogFile:    p.LogFile(),
		Name:       "pgbouncer",
		Path:       p.program,
	})
	if err != nil {
		return err
	}
	p.process = started
	return started.Await(ctx, readyPoll, p.ready)
}

func (p *Pooler) ready(ctx context.Context) error {
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(p.port)))
	if err != nil {
		return err
	}
	return conn.Close()
}

// Reconfigure writes the configuration anew and has the running pooler read it, as an operator's RELOAD does.
func (p *Pooler) Reconfigure(opts Options) error {
	if err := p.write(opts); err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.process == nil {
		return nil
	}
	return p.process.SignalGroup(syscall.SIGHUP)
}

// Close ends the pooler and removes its files.
func (p *Pooler) Close() error {
	return errors.Join(p.Stop(context.Background()), p.dir.Close())
}

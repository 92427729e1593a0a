// Package postgres runs throw-away PostgreSQL servers: real ones, with a data folder and a port of their own.
package postgres

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"net"
	"net/netip"
	"net/url"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"time"

	"app238.com/inner/test/stack/build"
	"app238.com/inner/test/stack/ports"
	"app238.com/inner/test/stack/process"
	"app238.com/inner/test/stack/workdir"
)

const (
	// superuser owns the cluster; Debian's account for the server has the same name.
	superuser = "postgres"

	stopGrace = 10 * time.Second
	killGrace = 5 * time.Second
)

// Options says how the server is to be; its zero value is a fast server that keeps nothing should the machine crash.
type Options struct {
	// BinDir holds PostgreSQL's server programs; found, or installed, unless set.
	BinDir string
	// Clock has the server run under a clock of its own that StepClock steps.
	Clock bool
	// Log receives progress of an installation; standard error unless set.
	Log io.Writer
	// Network is the server's address in a network that clients come from, beside loopback; none unless set.
	Network netip.Prefix
	// Settings are put over the default ones: {"fsync": "on"} makes the server as slow and as safe as a real one.
	Settings map[string]string
	// TLS has the server also take connections by TLS, with a certificate that is its own authority.
	TLS bool
}

// Server is a PostgreSQL server. Its methods may be called from several goroutines.
type Server struct {
	account  account
	binDir   string
	clock    *clock // nil: the machine's
	dataDir  string
	dir      *workdir.Dir
	network  netip.Prefix
	password string
	port     int
	settings map[string]string

	mu      sync.Mutex
	process *process.Process // nil while stopped
}

// Start makes a new cluster and returns when it takes connections.
func Start(ctx context.Context, opts Options) (*Server, error) {
	binDir := opts.BinDir
	if binDir == "" {
		var err error
		if binDir, err = build.PostgreSQL(ctx, build.Options{Log: opts.Log}); err != nil {
			return nil, err
		}
	}
	account, err := serverAccount()
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
	s := &Server{
		account:  account,
		binDir:   binDir,
		dataDir:  filepath.Join(dir.Path(), "data"),
		dir:      dir,
		network:  opts.Network,
		password: rand.Text(),
		port:     port[0],
		settings: opts.Settings,
	}
	if opts.Clock {
		if s.clock, err = newClock(ctx, opts, account, dir.Path()); err != nil {
			return nil, errors.Join(err, s.Close())
		}
	}
	if err := s.initialize(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	if opts.TLS {
		if err := s.encrypt(); err != nil {
			return nil, errors.Join(err, s.Close())
		}
	}
	if err := s.Restart(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// DSN is the address of a database, with the superuser's name and password: the one in the server's network, where it
// has one.
func (s *Server) DSN(database string) string {
	host := "127.0.0.1"
	if s.network.IsValid() {
		host = s.network.Addr().String()
	}
	address := url.URL{
		Scheme:   "postgres",
		User:     url.UserPassword(superuser, s.password),
		Host:     net.JoinHostPort(host, strconv.Itoa(s.port)),
		Path:     "/" + database,
		RawQuery: "sslmode=disable",
	}
	return address.String()
}

// LogFile is the server's log.
func (s *Server) LogFile() string {
	return filepath.Join(s.dir.Path(), "postgres.log")
}

// Password is the superuser's, random for each server, so that a test can look for leaks of it.
func (s *Server) Password() string {
	return s.password
}

// Port is the TCP port, the same after each restart.
func (s *Server) Port() int {
	return s.port
}

// Stop ends the server in good order, breaking all connections. What was written is there after Restart.
func (s *Server) Stop(ctx context.Context) error {
	// SIGINT is PostgreSQL's fast shutdown; SIGTERM would wait for clients to leave.
	return s.end(ctx, syscall.SIGINT, stopGrace)
}

// Kill ends the server without order, as a crash would: Restart then recovers what was committed.
func (s *Server) Kill() error {
	// SIGQUIT is PostgreSQL's immediate shutdown. SIGKILL would leave its shared memory behind.
	return s.end(context.Background(), syscall.SIGQUIT, killGrace)
}

func (s *Server) end(ctx context.Context, signal syscall.Signal, grace time.Duration) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.process == nil {
		return nil
	}
	defer func() { s.process = nil }()
	return s.process.StopWith(ctx, signal, grace)
}

// Restart starts the server again after Stop or Kill, on the same port and data, and stops it first where it runs.
// It returns when the server takes connections.
func (s *Server) Restart(ctx context.Context) error {
	if err := s.Stop(ctx); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	started, err := process.Start(s.spec())
	if err != nil {
		return err
	}
	s.process = started
	return started.Await(ctx, readyPoll, func(context.Context) error { return s.ready(started.PID()) })
}

// Close ends the server and removes its data.
func (s *Server) Close() error {
	return errors.Join(s.Kill(), s.dir.Close())
}

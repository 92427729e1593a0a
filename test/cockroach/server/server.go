// Package server plays a CockroachDB, where none can be had: a server of PostgreSQL's protocol in front of a real PostgreSQL,
// which gives the answers, with CockroachDB's manners where they differ and Inner depends on them.
//
//   - It says that it is a CockroachDB: version(), crdb_version, server_version.
//   - A text that CockroachDB's parser does not take is a syntax error.
//   - A statement that changes the schema commits the open transaction first, is its own, and leaves none open
//     (autocommit_before_ddl, since 25.1); so does each one in a text of several.
//   - crdb_internal is closed (since 26.1).
//   - Commits fail as scripted: one whose fate is unknown (40003), one that is to be tried again (40001).
//
// All else is PostgreSQL's: types, locks, isolation and catalogue are not CockroachDB's here. Package typecheck knows its types.
package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"sync"
)

// Version is what the server says that it is.
const Version = "CockroachDB CCL v25.4.1 (x86_64-pc-linux-gnu, built 2025/12/01 00:00:00, go1.25.3)"

// Fault is one answer to a commit that is not what it should be.
type Fault struct {
	// Statement is a part of the text whose commit fails: COMMIT, or a statement that is its own transaction.
	Statement string
	// Code is the SQLSTATE of the answer.
	Code string
	// Applied tells whether the transaction is committed all the same.
	Applied bool
}

// Server is one, until Close.
type Server struct {
	target   string
	listener net.Listener
	done     sync.WaitGroup

	mu     sync.Mutex
	faults []Fault
	open   map[net.Conn]bool // nil once closed
}

// Start starts a server in front of the PostgreSQL of a DSN, on a free port of loopback.
func Start(ctx context.Context, dsn string) (*Server, error) {
	u, err := url.Parse(dsn)
	if err != nil {
		return nil, errors.New("the DSN is not a URL")
	}
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &Server{target: u.Host, listener: listener, open: map[net.Conn]bool{}}
	s.done.Go(s.serve)
	return s, nil
}

// DSN returns the DSN of a database of the PostgreSQL, by way of this server.
func (s *Server) DSN(dsn string) (string, error) {
	u, err := url.Parse(dsn)
	if err != nil {
		return "", errors.New("the DSN is not a URL")
	}
	u.Host = s.listener.Addr().String()
	return u.String(), nil
}

// Script has commits fail, each fault once, in the order of those that name the same statement.
func (s *Server) Script(faults ...Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, faults...)
}

// Outstanding returns how many scripted faults nothing has met yet.
func (s *Server) Outstanding() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.faults)
}

// Close ends all connections.
func (s *Server) Close() error {
	err := s.listener.Close()
	s.mu.Lock()
	for c := range s.open {
		_ = c.Close()
	}
	s.open = nil
	s.mu.Unlock()
	s.done.Wait()
	return err
}

// fault takes the next one for a text off the script.
func (s *Server) fault(text string) *Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, f := range s.faults {
		if strings.Contains(text, f.Statement) {
			s.faults = append(s.faults[:i:i], s.faults[i+1:]...)
			return &f
		}
	}
	return nil
}

func (s *Server) serve() {
	for {
		client, err := s.listener.Accept()
		if err != nil {
			return
		}
		s.done.Go(func() { s.connection(client) })
	}
}

// connection serves one until either side ends it.
func (s *Server) connection(client net.Conn) {
	defer func() { _ = client.Close() }()
	if !s.keep(client) {
		return
	}
	defer s.drop(client)
	var dialer net.Dialer
	upstream, err := dialer.DialContext(context.Background(), "tcp", s.target)
	if err != nil {
		return
	}
	defer func() { _ = upstream.Close() }()
	if !s.keep(upstream) {
		return
	}
	defer s.drop(upstream)
	_ = newSession(s, client, upstream).run() // an error is the end of either side
}

func (s *Server) keep(c net.Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open == nil {
		return false
	}
	s.open[c] = true
	return true
}

func (s *Server) drop(c net.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.open, c)
}

func unexpected(message any) error { return fmt.Errorf("unexpected %T", message) }

package postgres

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"app238.com/inner/test/stack/certificate"
	"app238.com/inner/test/stack/process"
)

const (
	readyPoll = 10 * time.Millisecond

	// statusLine is where the server writes its state into postmaster.pid; its process id is on the first line.
	statusLine = 7
)

var errStarting = errors.New("not yet ready for connections")

// defaultSettings make a server that is fast and quiet. Commits still reach the operating system before they are
// answered, so that Kill loses none: only synchronous writes to the disk are off.
func defaultSettings() map[string]string {
	return map[string]string{
		"autovacuum_naptime":        "10s",
		"fsync":                     "off",
		"full_page_writes":          "off",
		"log_line_prefix":           "%m [%p] %d ",
		"max_connections":           "300",
		"max_wal_size":              "4GB",
		"password_encryption":       "scram-sha-256",
		"restart_after_crash":       "on",
		"shared_buffers":            "128MB",
		"timezone":                  "UTC",
		"wal_level":                 "replica",
		"track_activity_query_size": "4096",
	}
}

// initialize makes the data folder.
func (s *Server) initialize(ctx context.Context) error {
	passwordFile := filepath.Join(s.dir.Path(), "password")
	err := errors.Join(
		os.Mkdir(s.dataDir, 0o700),
		s.account.own(s.dataDir),
		os.WriteFile(passwordFile, []byte(s.password+"\n"), 0o600),
		s.account.own(passwordFile),
	)
	if err != nil {
		return fmt.Errorf("prepare a cluster: %w", err)
	}
	cmd := s.command(ctx, "initdb", "--pgdata", s.dataDir, "--username", superuser, "--pwfile", passwordFile,
		"--auth-host", "scram-sha-256", "--auth-local", "reject", "--encoding", "UTF8", "--locale", "C", "--no-sync")
	output, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("initdb: %w\n%s", err, bytes.TrimSpace(output))
	}
	return errors.Join(os.Remove(passwordFile), s.admitNetwork())
}

// admitNetwork lets clients in that come from the server's network, as it lets those of loopback in.
func (s *Server) admitNetwork() error {
	if !s.network.IsValid() {
		return nil
	}
	file, err := os.OpenFile(filepath.Join(s.dataDir, "pg_hba.conf"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return fmt.Errorf("let the network in: %w", err)
	}
	rule := []string{"host", "all", "all", s.network.Masked().String(), "scram-sha-256"}
	_, err = fmt.Fprintln(file, strings.Join(rule, " "))
	return errors.Join(err, file.Close())
}

// encrypt gives the server a certificate, where it looks for one.
func (s *Server) encrypt() error {
	public, private, err := certificate.SelfSigned("postgres")
	if err != nil {
		return fmt.Errorf("make a certificate: %w", err)
	}
	for name, content := range map[string][]byte{"server.crt": public, "server.key": private} {
		path := filepath.Join(s.dataDir, name)
		if err := errors.Join(os.WriteFile(path, content, 0o600), s.account.own(path)); err != nil {
			return fmt.Errorf("write a certificate: %w", err)
		}
	}
	settings := map[string]string{"ssl": "on"}
	maps.Copy(settings, s.settings)
	s.settings = settings
	return nil
}

// command prepares one of PostgreSQL's own programs, run as the server's account.
func (s *Server) command(ctx context.Context, program string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, filepath.Join(s.binDir, program), args...)
	cmd.Dir = s.dir.Path()
	cmd.Env = environment()
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: s.account.credential}
	return cmd
}

func environment() []string {
	return []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C", "TZ=UTC"}
}

func (s *Server) spec() process.Spec {
	args := []string{"-D", s.dataDir}
	settings := defaultSettings()
	maps.Copy(settings, s.settings)
	// Put last, so that no setting of a caller opens the server to others.
	settings["listen_addresses"] = "127.0.0.1"
	if s.network.IsValid() {
		settings["listen_addresses"] += "," + s.network.Addr().String()
	}
	settings["port"] = strconv.Itoa(s.port)
	settings["unix_socket_directories"] = ""
	for name, value := range settings {
		args = append(args, "-c", name+"="+value)
	}
	return process.Spec{
		Args:       args,
		Credential: s.account.credential,
		// An immediate shutdown takes the server's children and its shared memory along; SIGKILL would not.
		DeathSignal: syscall.SIGQUIT,
		Dir:         s.dataDir,
		Env:         append(environment(), s.clock.environment()...),
		LogFile:     s.LogFile(),
		Name:        "postgres",
		Path:        filepath.Join(s.binDir, "postgres"),
	}
}

// ready reads what the server says of itself, as pg_ctl does.
func (s *Server) ready(pid int) error {
	data, err := os.ReadFile(filepath.Join(s.dataDir, "postmaster.pid"))
	if errors.Is(err, os.ErrNotExist) {
		return errStarting
	}
	if err != nil {
		return err
	}
	lines := strings.Split(string(data), "\n")
	ours := lines[0] == strconv.Itoa(pid) // not what a killed server has left
	if !ours || len(lines) <= statusLine || strings.TrimSpace(lines[statusLine]) != "ready" {
		return errStarting
	}
	return nil
}

// CreateDatabase makes an empty database.
func (s *Server) CreateDatabase(ctx context.Context, name string) error {
	cmd := s.client(ctx, "createdb", "--", name)
	if output, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("create database %q: %w\n%s", name, err, bytes.TrimSpace(output))
	}
	return nil
}

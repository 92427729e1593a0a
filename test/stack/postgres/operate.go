package postgres

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// syncPoll is the time between two questions whether a standby is in step.
const syncPoll = 50 * time.Millisecond

// Synchronous has every commit wait for a standby from now on, so that none is lost by a failover. It returns when a standby
// is in step.
func (s *Server) Synchronous(ctx context.Context) error {
	for _, statement := range []string{"ALTER SYSTEM SET synchronous_standby_names = '*'", "SELECT pg_reload_conf()"} {
		if _, err := s.query(ctx, statement); err != nil {
			return err
		}
	}
	ticker := time.NewTicker(syncPoll)
	defer ticker.Stop()
	for {
		n, err := s.query(ctx, "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'")
		if err != nil {
			return err
		}
		if n != "0" {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("no standby is in step: %w", ctx.Err())
		case <-ticker.C:
		}
	}
}

// FailOver makes a standby, kills this server, and promotes the standby, which is returned; the caller closes both. Nothing
// that was committed is lost. reading is called while only the standby is there, which takes no writes.
func (s *Server) FailOver(ctx context.Context, reading func(standby *Server)) (*Server, error) {
	standby, err := s.Standby(ctx)
	if err != nil {
		return nil, err
	}
	if err := s.Synchronous(ctx); err != nil {
		return nil, errors.Join(err, standby.Close())
	}
	if err := s.Kill(); err != nil {
		return nil, errors.Join(err, standby.Close())
	}
	reading(standby)
	if err := standby.Promote(ctx); err != nil {
		return nil, errors.Join(err, standby.Close())
	}
	return standby, nil
}

// FreezeBackends stops the processes that serve the sessions of a database whose application name begins so, as a host that is
// lost does: connections stay open and nothing answers. It returns how many there are, and what has them go on.
func (s *Server) FreezeBackends(ctx context.Context, database, application string) (frozen int, thaw func() error, err error) {
	answer, err := s.query(ctx,
		"SELECT pid FROM pg_stat_activity WHERE datname = '"+database+"' AND application_name LIKE '"+application+"%'")
	if err != nil {
		return 0, nil, err
	}
	var pids []int
	for field := range strings.FieldsSeq(answer) {
		pid, err := strconv.Atoi(field)
		if err != nil {
			return 0, nil, err
		}
		pids = append(pids, pid)
	}
	return len(pids), func() error { return signal(pids, syscall.SIGCONT) }, signal(pids, syscall.SIGSTOP)
}

// signal sends a signal to those of the processes that have not ended.
func signal(pids []int, s syscall.Signal) error {
	var failures []error
	for _, pid := range pids {
		if err := syscall.Kill(pid, s); err != nil && !errors.Is(err, syscall.ESRCH) {
			failures = append(failures, err)
		}
	}
	return errors.Join(failures...)
}

// Dump writes a database as pg_dump does, which holds its locks for as long as the reader takes.
func (s *Server) Dump(ctx context.Context, database string, to *os.File) error {
	cmd := s.client(ctx, "pg_dump", "--dbname", database)
	var failure bytes.Buffer
	cmd.Stdout, cmd.Stderr = to, &failure
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("pg_dump: %w\n%s", err, bytes.TrimSpace(failure.Bytes()))
	}
	return nil
}

// query returns the bare answer to a statement in the superuser's own database.
func (s *Server) query(ctx context.Context, statement string) (string, error) {
	cmd := s.client(ctx, "psql", "-XAtqw", "--dbname", superuser, "-v", "ON_ERROR_STOP=1", "-c", statement)
	var failure bytes.Buffer
	cmd.Stderr = &failure
	output, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("psql: %w\n%s", err, bytes.TrimSpace(failure.Bytes()))
	}
	return strings.TrimSpace(string(output)), nil
}

// client prepares one of PostgreSQL's client programs as the superuser.
func (s *Server) client(ctx context.Context, program string, args ...string) *exec.Cmd {
	cmd := s.command(ctx, program, append([]string{
		"--host", "127.0.0.1", "--port", strconv.Itoa(s.port), "--username", superuser, "--no-password",
	}, args...)...)
	cmd.Env = append(slices.Clone(cmd.Env), "PGPASSWORD="+s.password)
	return cmd
}

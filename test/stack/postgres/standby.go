package postgres

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"app238.com/inner/test/stack/ports"
	"app238.com/inner/test/stack/workdir"
)

// Standby makes a streaming standby of the running server: a copy with a port of its own, the same databases and the same
// password, which answers queries and takes no writes. It returns when the standby takes connections.
func (s *Server) Standby(ctx context.Context) (*Server, error) {
	port, err := ports.Free(ctx, 1)
	if err != nil {
		return nil, err
	}
	dir, err := workdir.New()
	if err != nil {
		return nil, err
	}
	clock, err := s.clock.copy(dir.Path())
	if err != nil {
		return nil, errors.Join(err, dir.Close())
	}
	standby := &Server{
		account:  s.account,
		binDir:   s.binDir,
		clock:    clock,
		dataDir:  filepath.Join(dir.Path(), "data"),
		dir:      dir,
		password: s.password,
		port:     port[0],
		settings: s.settings,
	}
	if err := standby.copyFrom(ctx, s); err != nil {
		return nil, errors.Join(err, standby.Close())
	}
	if err := standby.Restart(ctx); err != nil {
		return nil, errors.Join(err, standby.Close())
	}
	return standby, nil
}

// copyFrom makes the data folder from that of another server, whose changes it follows.
func (s *Server) copyFrom(ctx context.Context, primary *Server) error {
	if err := errors.Join(os.Mkdir(s.dataDir, 0o700), s.account.own(s.dataDir)); err != nil {
		return fmt.Errorf("prepare a standby: %w", err)
	}
	cmd := primary.client(ctx, "pg_basebackup", "--pgdata", s.dataDir, "--write-recovery-conf", "--wal-method", "stream",
		"--checkpoint", "fast", "--no-sync")
	cmd.Dir = s.dir.Path()
	if output, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("pg_basebackup: %w\n%s", err, bytes.TrimSpace(output))
	}
	return nil
}

// Promote makes a standby a primary, and returns when it takes writes.
func (s *Server) Promote(ctx context.Context) error {
	output, err := s.command(ctx, "pg_ctl", "promote", "--pgdata", s.dataDir, "--wait").CombinedOutput()
	if err != nil {
		return fmt.Errorf("promote: %w\n%s", err, bytes.TrimSpace(output))
	}
	return nil
}

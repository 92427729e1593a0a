package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"app238.com/inner/test/testdatabase"
)

// program runs commands on a database of its own.
type program struct {
	db     *testdatabase.Database
	config string
}

func setup(t *testing.T) *program {
	t.Helper()
	db := testdatabase.New(t)
	file := filepath.Join(t.TempDir(), "inner.yaml")
	require.NoError(t, os.WriteFile(file,
		[]byte("domain: example.com\ndatabase: {connectTimeout: 2s}\ntasks: {heartbeatInterval: 100ms, takeoverAfter: 2s}\n"), 0o600))
	return &program{db: db, config: file}
}

// run runs one command and returns what it printed.
func (p *program) run(t *testing.T, args ...string) (output string, err error) {
	t.Helper()
	return execute(t, append(args, "--config", p.config, "-d", p.db.Config.Database.DSN.Reveal())...)
}

func execute(t *testing.T, args ...string) (output string, err error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var out bytes.Buffer
	root := newRoot()
	root.SetOut(&out)
	root.SetErr(&out)
	root.SetArgs(args)
	err = root.ExecuteContext(ctx)
	return out.String(), err
}

// insert writes a task of the given type and state and returns its id.
func (p *program) insert(t *testing.T, jobType, status, info string) (id int64) {
	t.Helper()
	require.NoError(t, p.db.QueryRowContext(t.Context(), `INSERT INTO console_tasks
		(task_type, task_status, task_info, ordering_key, task_detailed_status)
		VALUES ($1, $2, $3, 'key-' || $1::TEXT || $2::TEXT, 'how it is') RETURNING id`, jobType, status, info).Scan(&id))
	return id
}

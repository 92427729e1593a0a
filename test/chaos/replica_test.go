package chaos_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"app238.com/inner/test/chaos/journal"
	"app238.com/inner/test/program"
	"app238.com/inner/test/stack/process"
)

// replica is a process of the queue, and what was done to it.
type replica struct {
	name    string
	journal string
	process *process.Process
	url     string
	// listened is when it had started.
	listened time.Time

	// killed, stopped and continued are the moments of SIGKILL (when it was gone), SIGSTOP and SIGCONT.
	killed, stopped, continued time.Time
	busy                       atomic.Bool // something is being done to it
}

// launch starts a replica and returns when it listens; the caller ends it.
func (w *fixture) launch(ctx context.Context, name string, flags ...string) (*replica, error) {
	file := w.file(name, "yaml")
	if err := os.WriteFile(file, []byte(w.configuration()), 0o600); err != nil {
		return nil, err
	}
	r := &replica{name: name, journal: w.file(name, "journal")}
	started, err := process.Start(process.Spec{
		Args: append([]string{
			"--config", file, "--name", name, "--seed", fmt.Sprintf("%d%d", w.seed, len(name)), "--journal", r.journal,
		}, flags...),
		Dir: w.folder, Env: os.Environ(), LogFile: w.file(name, "log"), Name: name, Path: program.Path(),
	})
	if err != nil {
		return nil, err
	}
	r.process = started
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	if err := started.Await(ctx, pollInterval, func(context.Context) error { return r.findAddress() }); err != nil {
		started.Kill()
		return nil, err
	}
	return r, nil
}

func (r *replica) findAddress() error {
	lines, err := journal.Read(r.journal)
	if err != nil {
		return err
	}
	if len(lines) == 0 {
		return errors.New("does not listen yet")
	}
	r.url, r.listened = "http://"+lines[0].Address, lines[0].Time()
	return nil
}

// start is launch for a test, which ends with the replica ended.
func (w *fixture) start(t *testing.T, name string, flags ...string) *replica {
	t.Helper()
	r, err := w.launch(t.Context(), name, flags...)
	require.NoError(t, err)
	t.Cleanup(r.process.Kill)
	w.await(t, timeout, name+" is ready", func() bool {
		answer, err := send(t.Context(), r.url+"/readyz", nil, "")
		return err == nil && len(answer) > 0
	})
	return r
}

// kill ends the replica as a crash would.
func (r *replica) kill() {
	r.process.Kill()
	r.killed = time.Now()
}

// freeze stops the replica as a whole, and thaw lets it go on.
func (r *replica) freeze() error {
	r.stopped = time.Now()
	return r.process.SignalGroup(syscall.SIGSTOP)
}

func (r *replica) thaw() error {
	r.continued = time.Now()
	return r.process.SignalGroup(syscall.SIGCONT)
}

// terminate ends the replica as an operator would, and returns how long that took.
func (r *replica) terminate(ctx context.Context, limit time.Duration) (time.Duration, error) {
	begin := time.Now()
	if err := r.process.Stop(ctx, limit); err != nil {
		return 0, err
	}
	took := time.Since(begin)
	if status := r.process.ExitStatus(); status != 0 {
		return took, fmt.Errorf("%s: exit status %d after %s\n%s", r.name, status, took, r.process.Tail())
	}
	return took, nil
}

// executions returns the replica's, in the order of their beginnings.
func (r *replica) executions() ([]*execution, error) {
	lines, err := journal.Read(r.journal)
	if err != nil {
		return nil, err
	}
	var all []*execution
	open := map[int64]*execution{}
	for _, l := range lines {
		switch l.Event {
		case journal.Begin:
			e := &execution{replica: r, task: l.Task, key: l.Key, seq: l.Seq, begin: l.Time()}
			open[l.Execution] = e
			all = append(all, e)
		case journal.End:
			e, begun := open[l.Execution]
			if !begun {
				return nil, fmt.Errorf("%s: execution %d ended without a beginning", r.name, l.Execution)
			}
			e.end, e.outcome = l.Time(), l.Outcome
		case journal.Listening:
		}
	}
	return all, nil
}

// executions returns those of some replicas.
func executions(t *testing.T, replicas ...*replica) (all []*execution) {
	t.Helper()
	for _, r := range replicas {
		of, err := r.executions()
		require.NoError(t, err)
		all = append(all, of...)
	}
	return all
}

// logs returns what all replicas have logged.
func (w *fixture) logs(t *testing.T) []byte {
	t.Helper()
	files, err := filepath.Glob(w.file("*", "log"))
	require.NoError(t, err)
	var all []byte
	for _, file := range files {
		content, err := os.ReadFile(file)
		require.NoError(t, err)
		all = append(all, content...)
	}
	return all
}

// requireSound looks for what no replica may log, whatever happens to it.
func (w *fixture) requireSound(t *testing.T) {
	t.Helper()
	for _, word := range []string{"DATA RACE", "panic", "goroutine "} {
		require.NotContains(t, string(w.logs(t)), word)
	}
}

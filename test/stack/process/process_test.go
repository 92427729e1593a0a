package process_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"app238.com/inner/test/stack/process"
)

const (
	limit = 20 * time.Second
	tick  = 5 * time.Millisecond
)

func shell(dir, script string) process.Spec {
	return process.Spec{
		Args:    []string{"-c", script},
		Env:     []string{"PATH=" + os.Getenv("PATH")},
		LogFile: filepath.Join(dir, "shell.log"),
		Name:    "shell",
		Path:    "/bin/sh",
	}
}

func start(t *testing.T, script string) *process.Process {
	t.Helper()
	started, err := process.Start(shell(t.TempDir(), script))
	require.NoError(t, err)
	t.Cleanup(started.Kill)
	return started
}

// says waits until the program's log holds the text.
func says(t *testing.T, p *process.Process, text string) {
	t.Helper()
	require.Eventually(t, func() bool { return strings.Contains(p.Tail(), text) }, limit, tick)
}

func TestStop(t *testing.T) {
	t.Parallel()
	t.Run("in good order", func(t *testing.T) {
		t.Parallel()
		p := start(t, `trap "echo bye; exit 3" TERM; echo ready; while :; do sleep 0.01; done`)
		says(t, p, "ready")
		require.NoError(t, p.Stop(t.Context(), limit))
		require.Equal(t, 3, p.ExitStatus())
		require.Contains(t, p.Tail(), "bye")
	})
	t.Run("by force after the grace", func(t *testing.T) {
		t.Parallel()
		p := start(t, `trap "" TERM; echo ready; while :; do sleep 0.01; done`)
		says(t, p, "ready")
		require.NoError(t, p.Stop(t.Context(), 50*time.Millisecond))
		require.Equal(t, 128+int(syscall.SIGKILL), p.ExitStatus())
	})
	t.Run("by force when the context ends", func(t *testing.T) {
		t.Parallel()
		p := start(t, `trap "" TERM; echo ready; while :; do sleep 0.01; done`)
		says(t, p, "ready")
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		require.ErrorIs(t, p.Stop(ctx, limit), context.DeadlineExceeded)
		<-p.Done()
	})
	t.Run("twice", func(t *testing.T) {
		t.Parallel()
		p := start(t, "exec sleep 1000")
		require.NoError(t, p.Stop(t.Context(), limit))
		require.NoError(t, p.Stop(t.Context(), limit))
		p.Kill()
	})
}

func TestAwait(t *testing.T) {
	t.Parallel()
	never := func(context.Context) error { return errors.New("not yet there") }

	t.Run("the program ends", func(t *testing.T) {
		t.Parallel()
		p := start(t, `echo the reason; exit 5`)
		err := p.Await(t.Context(), tick, never)
		require.ErrorIs(t, err, process.ErrEnded)
		for _, part := range []string{"shell ended", "exit status 5", "the reason"} {
			require.ErrorContains(t, err, part)
		}
	})
	t.Run("the context ends", func(t *testing.T) {
		t.Parallel()
		p := start(t, `echo the reason; exec sleep 1000`)
		says(t, p, "the reason")
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		err := p.Await(ctx, tick, never)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		for _, part := range []string{"shell", "not yet there", "the reason"} {
			require.ErrorContains(t, err, part)
		}
	})
	t.Run("the condition comes true", func(t *testing.T) {
		t.Parallel()
		p := start(t, "exec sleep 1000")
		calls := 0
		require.NoError(t, p.Await(t.Context(), tick, func(context.Context) error {
			if calls++; calls < 3 {
				return errors.New("not yet")
			}
			return nil
		}))
		require.Equal(t, 3, calls)
	})
}

func TestStartFails(t *testing.T) {
	t.Parallel()
	spec := shell(t.TempDir(), "true")
	spec.Path = "/no/such/program"
	_, err := process.Start(spec)
	require.ErrorContains(t, err, "start shell")
	require.ErrorIs(t, err, os.ErrNotExist)
}

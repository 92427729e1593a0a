package build

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func setup(t *testing.T) (Options, *bytes.Buffer) {
	t.Helper()
	log := &bytes.Buffer{}
	return Options{Cache: t.TempDir(), Log: log, Root: t.TempDir()}, log
}

func TestCached(t *testing.T) {
	t.Parallel()
	opts, _ := setup(t)
	fills := 0
	fill := func(dir string) error {
		fills++
		return os.WriteFile(filepath.Join(dir, "result"), []byte("made"), 0o600)
	}
	for range 3 {
		dir, err := cached(t.Context(), opts, "thing", fill)
		require.NoError(t, err)
		data, err := os.ReadFile(filepath.Join(dir, "result"))
		require.NoError(t, err)
		require.Equal(t, "made", string(data))
	}
	require.Equal(t, 1, fills)
}

func TestCachedByManyAtOnce(t *testing.T) {
	t.Parallel()
	opts, _ := setup(t)
	opts.Log = &lockedWriter{}
	var fills atomic.Int32
	var group sync.WaitGroup
	failures := make(chan error, 8)
	for range cap(failures) {
		group.Go(func() {
			dir, err := cached(t.Context(), opts, "thing", func(dir string) error {
				fills.Add(1)
				return os.WriteFile(filepath.Join(dir, "result"), nil, 0o600)
			})
			if err == nil {
				_, err = os.Stat(filepath.Join(dir, "result"))
			}
			failures <- err
		})
	}
	group.Wait()
	close(failures)
	for err := range failures {
		require.NoError(t, err)
	}
	require.EqualValues(t, 1, fills.Load())
}

func TestCachedFailureLeavesNothing(t *testing.T) {
	t.Parallel()
	opts, _ := setup(t)
	broken := errors.New("broken")
	_, err := cached(t.Context(), opts, "thing", func(dir string) error {
		require.NoError(t, os.WriteFile(filepath.Join(dir, "half"), nil, 0o600))
		return broken
	})
	require.ErrorIs(t, err, broken)

	dir, err := cached(t.Context(), opts, "thing", func(string) error { return nil })
	require.NoError(t, err)
	require.NoFileExists(t, filepath.Join(dir, "half"))
}

func TestLockWaitsForTheOther(t *testing.T) {
	t.Parallel()
	opts, log := setup(t)
	unlock, err := lock(t.Context(), opts, "thing")
	require.NoError(t, err)

	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	_, err = lock(ctx, opts, "thing")
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.Equal(t, 1, strings.Count(log.String(), "another process is making thing"))

	unlock()
	again, err := lock(t.Context(), opts, "thing")
	require.NoError(t, err)
	again()
}

// lockedWriter takes what several goroutines write.
type lockedWriter struct {
	mu sync.Mutex
	n  int
}

func (w *lockedWriter) Write(data []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.n += len(data)
	return len(data), nil
}

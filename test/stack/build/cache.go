package build

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// lockPoll is how often a process checks whether another one has finished the same build.
const lockPoll = 200 * time.Millisecond

// cached returns the folder <cache>/<name>. Where it is missing, fill makes its content in a folder that becomes it
// only when fill has succeeded; of several processes one does so and the others wait for it.
func cached(ctx context.Context, opts Options, name string, fill func(dir string) error) (string, error) {
	final := filepath.Join(opts.Cache, name)
	if exists(final) {
		return final, nil
	}
	unlock, err := lock(ctx, opts, name)
	if err != nil {
		return "", err
	}
	defer unlock()
	if exists(final) {
		return final, nil // another process made it
	}

	draft := final + ".draft"
	if err := os.RemoveAll(draft); err != nil { // left by a killed process
		return "", fmt.Errorf("clear %s: %w", draft, err)
	}
	if err := os.Mkdir(draft, 0o755); err != nil {
		return "", fmt.Errorf("make %s: %w", name, err)
	}
	if err := fill(draft); err != nil {
		return "", errors.Join(err, os.RemoveAll(draft))
	}
	if err := os.Rename(draft, final); err != nil {
		return "", fmt.Errorf("make %s: %w", name, err)
	}
	return final, nil
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// lock waits for the exclusive right to make name. The kernel gives it back should this process die.
func lock(ctx context.Context, opts Options, name string) (unlock func(), err error) {
	file, err := os.OpenFile(filepath.Join(opts.Cache, name+".lock"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, fmt.Errorf("lock %s: %w", name, err)
	}
	release := func() { _ = file.Close() }

	ticker := time.NewTicker(lockPoll)
	defer ticker.Stop()
	waiting := false
	for {
		err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		switch {
		case err == nil:
			return release, nil
		case !errors.Is(err, syscall.EWOULDBLOCK):
			release()
			return nil, fmt.Errorf("lock %s: %w", name, err)
		case !waiting:
			waiting = true
			say(opts.Log, "another process is making %s; waiting for it", name)
		}
		select {
		case <-ctx.Done():
			release()
			return nil, fmt.Errorf("wait for another process making %s: %w", name, ctx.Err())
		case <-ticker.C:
		}
	}
}

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	modulePath = "app238.com/inner"
	lockPoll   = 100 * time.Millisecond
)

// findClone returns the folder of the main module.
func findClone(ctx context.Context) (string, error) {
	output, err := goCommand(ctx, "", "list", "-m", "-f", "{{.Dir}}", modulePath)
	if err != nil {
		return "", fmt.Errorf("not inside a clone: %w", err)
	}
	return strings.TrimSpace(output), nil
}

// build makes Inner's program in the cache. Its file is this demonstration's alone until Inner has been started.
func (d *demo) build(ctx context.Context) error {
	dir := filepath.Join(d.opts.cache, "demo")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	release, err := lock(ctx, filepath.Join(dir, "inner.lock"))
	if err != nil {
		return fmt.Errorf("wait for another demonstration that builds Inner: %w", err)
	}
	d.inner.release, d.inner.program = release, filepath.Join(dir, "inner")
	if _, err := goCommand(ctx, d.opts.root, "build", "-buildvcs=false", "-o", d.inner.program, "./cmd/inner"); err != nil {
		return fmt.Errorf("build Inner: %w", err)
	}
	return nil
}

func goCommand(ctx context.Context, dir string, arguments ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "go", arguments...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "CGO_ENABLED=0")
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("go %s: %w\n%s", arguments[0], errors.Join(err, context.Cause(ctx)), bytes.TrimSpace(stderr.Bytes()))
	}
	return stdout.String(), nil
}

// lock waits for the exclusive right that the file stands for. The kernel gives it back should this process die.
func lock(ctx context.Context, path string) (release func(), err error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	release = sync.OnceFunc(func() { _ = file.Close() })
	err = until(ctx, lockPoll, func(context.Context) error {
		return syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	})
	if err != nil {
		release()
		return nil, err
	}
	return release, nil
}

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

const followPoll = 100 * time.Millisecond

// newLogFile makes an empty log for Inner. It stays when the demonstration is over, until the next one with the same
// listening address.
func newLogFile(opts *options) (string, error) {
	dir := filepath.Join(opts.cache, "demo")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	address := strings.Map(func(r rune) rune {
		if r == '.' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' {
			return r
		}
		return '-'
	}, opts.config.HTTP.Listen)
	path := filepath.Join(dir, "inner-"+address+".log")
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	return path, os.WriteFile(path, nil, 0o600)
}

// dropLog removes the log of a demonstration that went well and whose address hardly any other will have.
func (d *demo) dropLog() error {
	if !d.opts.anyPort || d.inner.logFile == "" {
		return nil
	}
	return errors.Join(os.Remove(d.inner.logFile), os.RemoveAll(kvFolder(d.inner.logFile)))
}

// kvFolder is where Inner's embedded key-value engine keeps its data, beside its log.
func kvFolder(logFile string) string { return strings.TrimSuffix(logFile, ".log") + "-kv" }

// follow shows what is written to a file until ctx ends. The returned function waits until the last line was shown.
func follow(ctx context.Context, path string, show func(line string)) (wait func(), err error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read the log: %w", err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		defer func() { _ = file.Close() }()
		ticker := time.NewTicker(followPoll)
		defer ticker.Stop()
		begun := ""
		for {
			last := ctx.Err() != nil // before the read, which is to see all that was written until then
			data, err := io.ReadAll(file)
			lines := strings.Split(begun+string(data), "\n")
			begun = lines[len(lines)-1]
			for _, line := range lines[:len(lines)-1] {
				show(line)
			}
			if err != nil || last {
				return
			}
			select {
			case <-ctx.Done():
			case <-ticker.C:
			}
		}
	}()
	return func() { <-ended }, nil
}

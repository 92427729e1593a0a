package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"syscall"
	"time"

	"app238.com/inner/test/dnsserver"
)

const (
	// honest is how many right domains are added beside the silent ones, one after the other.
	honest = 30
	// besideLimit is the longest wait for one of them, and for what comes before the first.
	besideLimit = 5 * time.Minute
	// stopLimit is how long the program may take to end.
	stopLimit = time.Minute
)

// beside has one user add as many domains as there were before, whose name servers never answer, and measures how long the right
// domains of others take then.
func (w *fixture) beside(ctx context.Context, f *figures) (err error) {
	silent, err := w.insertUnresponsive(ctx)
	if err != nil {
		return err
	}
	stop, err := w.serve(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stop()) }()
	if err := await(ctx, func() (bool, error) { return silent.QueryCount("") > 0, nil }); err != nil {
		return fmt.Errorf("silent name servers are not queried: %w", err)
	}
	for i := 0; len(f.beside) < honest; i++ {
		if !isRight(i) {
			continue
		}
		begin := time.Now()
		if err := w.insert(ctx, i, i+1, "user", ""); err != nil {
			return err
		}
		err := await(ctx, func() (verified bool, err error) {
			err = w.db.QueryRowContext(ctx, `SELECT status = 'success' FROM custom_domains WHERE user_uid = $1`,
				fmt.Sprint("u", i)).Scan(&verified)
			return verified, err
		})
		if err != nil {
			return fmt.Errorf("right domain %d: %w", i, err)
		}
		f.beside = append(f.beside, time.Since(begin).Seconds())
	}
	say("%d right domains beside %d silent ones: %s at most", len(f.beside), w.options.domains, seconds(slices.Max(f.beside)))
	return nil
}

// insertUnresponsive empties the tables and fills them with the silent domains.
func (w *fixture) insertUnresponsive(ctx context.Context) (*dnsserver.Server, error) {
	silent, err := w.dns.Server()
	if err != nil {
		return nil, err
	}
	silent.Play("", dnsserver.Play{Silent: true})
	for i := range w.options.domains {
		if err := w.servers[0].Delegate(fmt.Sprintf("silent%d.test.", i), silent); err != nil {
			return nil, err
		}
	}
	if _, err := w.db.ExecContext(ctx, `TRUNCATE custom_domains, inner_domain_checks, inner_domain_values`); err != nil {
		return nil, err
	}
	return silent, w.insert(ctx, 0, w.options.domains, "silent", "silent")
}

// serve starts the program and returns what ends it.
func (w *fixture) serve(ctx context.Context) (stop func() error, err error) {
	ctx, kill := context.WithCancel(ctx)
	cmd := w.command(ctx, "serve", "-l", "127.0.0.1:0")
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	cmd.WaitDelay = stopLimit
	if err := cmd.Start(); err != nil {
		kill()
		return nil, fmt.Errorf("inner serve: %w", err)
	}
	return func() error {
		defer kill()
		timer := time.AfterFunc(stopLimit, kill)
		defer timer.Stop()
		if err := errors.Join(cmd.Process.Signal(syscall.SIGTERM), cmd.Wait()); err != nil {
			return fmt.Errorf("inner serve: %w\n%s", err, tail(output.Bytes()))
		}
		return nil
	}, nil
}

// tail is the end of a long output.
func tail(output []byte) []byte { return output[max(0, len(output)-4000):] }

// await waits until met is true.
func await(ctx context.Context, met func() (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, besideLimit)
	defer cancel()
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for {
		if ok, err := met(); ok || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		}
	}
}

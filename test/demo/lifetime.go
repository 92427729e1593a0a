package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// checkInterval is how often the demonstration checks whether its parent, usually `go run`, and its terminal still exist.
const checkInterval = 500 * time.Millisecond

var (
	errInterrupted = errors.New("interrupted")
	errOrphaned    = errors.New("the process that started this one is gone")
)

// lifetime says for how long there is work to do.
type lifetime struct {
	// work ends with the first signal, with the parent, and when nobody reads the output any more.
	work context.Context
	// forced ends with the second signal: an orderly shutdown is then cut short.
	forced context.Context

	end    context.CancelCauseFunc // ends work
	force  context.CancelFunc      // ends forced
	output io.Writer
	ended  chan struct{}
}

func newLifetime(output io.Writer) *lifetime {
	l := &lifetime{ended: make(chan struct{}), output: output}
	l.forced, l.force = context.WithCancel(context.Background())
	l.work, l.end = context.WithCancelCause(l.forced)
	// A reader that went away is noticed by failing writes, which are no reason to die without clearing up.
	signal.Ignore(syscall.SIGPIPE)
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	go func() {
		defer close(l.ended)
		defer signal.Stop(signals)
		l.watch(signals)
	}()
	return l
}

func (l *lifetime) watch(signals <-chan os.Signal) {
	parent := os.Getppid()
	ticker := time.NewTicker(checkInterval)
	defer ticker.Stop()
	for {
		select {
		case <-l.forced.Done():
			return
		case s := <-signals:
			if l.work.Err() != nil && s != syscall.SIGHUP {
				l.force()
				return
			}
			l.end(fmt.Errorf("%w: %s", errInterrupted, s))
		case <-ticker.C:
			if os.Getppid() != parent {
				l.end(errOrphaned)
			}
			// The kernel tells only the leader of a session that its terminal is gone, and make keeps that to itself.
			// Writing nothing does nothing else than fail then.
			if _, err := l.output.Write(nil); err != nil {
				l.end(fmt.Errorf("the terminal is gone: %w", err))
			}
		}
	}
}

// stop ends the watch.
func (l *lifetime) stop() {
	l.force()
	<-l.ended
}

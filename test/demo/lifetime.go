package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// parentPoll is how often the demonstration looks whether its parent, `go run` as a rule, still lives.
const parentPoll = 500 * time.Millisecond

var (
	errInterrupted = errors.New("interrupted")
	errOrphaned    = errors.New("the process that started this one is gone")
)

// lifetime says for how long there is work to do.
type lifetime struct {
	// work ends with the first signal, with the parent, and when nobody reads the output any more.
	work context.Context
	// hurry ends with the second signal: what is being ended in good order then ends at once.
	hurry context.Context

	end   context.CancelCauseFunc // ends work
	rush  context.CancelFunc      // ends hurry
	ended chan struct{}
}

func newLifetime() *lifetime {
	l := &lifetime{ended: make(chan struct{})}
	l.hurry, l.rush = context.WithCancel(context.Background())
	l.work, l.end = context.WithCancelCause(l.hurry)
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
	ticker := time.NewTicker(parentPoll)
	defer ticker.Stop()
	for {
		select {
		case <-l.hurry.Done():
			return
		case s := <-signals:
			if l.work.Err() != nil && s != syscall.SIGHUP {
				l.rush()
				return
			}
			l.end(fmt.Errorf("%w: %s", errInterrupted, s))
		case <-ticker.C:
			if os.Getppid() != parent {
				l.end(errOrphaned)
			}
		}
	}
}

// stop ends the watch.
func (l *lifetime) stop() {
	l.rush()
	<-l.ended
}

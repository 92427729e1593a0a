package command

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"time"

	"app238.com/inner/test/stack/process"
)

const (
	// commandGrace is what the command gets to end after a signal.
	commandGrace = 10 * time.Second
	// parentPoll is how often this process checks whether its parent, a `go run` say, still lives.
	parentPoll = 500 * time.Millisecond
)

var errOrphaned = errors.New("the process that started this one is gone")

// runCommand runs the command to its end, passes signals on to it, and returns its exit status.
func runCommand(signals <-chan os.Signal, orphaned <-chan struct{}, command, environment []string) (int, error) {
	path, err := exec.LookPath(command[0])
	if err != nil {
		return Failure, err
	}
	group, release, err := startGuard()
	if err != nil {
		return Failure, fmt.Errorf("start the guard: %w", err)
	}
	defer release() // and with it whatever the command has left behind
	running, err := process.Start(process.Spec{
		Args:     command[1:],
		Attached: true,
		Env:      append(os.Environ(), environment...),
		Group:    group,
		Name:     command[0],
		Path:     path,
	})
	if err != nil {
		return Failure, err
	}

	var overdue <-chan time.Time
	end := func(s syscall.Signal) {
		_ = running.SignalGroup(s) // it may have ended by itself
		if overdue == nil {
			overdue = time.After(commandGrace)
		}
	}
	for {
		select {
		case <-running.Done():
			return running.ExitStatus(), nil
		case s := <-signals:
			if number, ok := s.(syscall.Signal); ok {
				end(number)
			}
		case <-orphaned:
			orphaned = nil
			end(syscall.SIGTERM)
		case <-overdue:
			running.Kill()
		}
	}
}

// WatchParent closes orphaned when the parent process dies, until stop is called. A killed `go run` or make would
// otherwise leave this process, and with it the stack, behind.
func WatchParent() (orphaned <-chan struct{}, stop func()) {
	parent := os.Getppid()
	gone, quit, ended := make(chan struct{}), make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		ticker := time.NewTicker(parentPoll)
		defer ticker.Stop()
		for {
			select {
			case <-quit:
				return
			case <-ticker.C:
				if os.Getppid() != parent {
					close(gone)
					return
				}
			}
		}
	}()
	return gone, func() {
		close(quit)
		<-ended
	}
}

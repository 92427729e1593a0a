// Package process starts the programs of the test stack and makes sure that none of them outlives its starter.
package process

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"time"
)

// ErrEnded is within every error that says that a program has ended when it should not have.
var ErrEnded = errors.New("ended")

// Spec says what to run.
type Spec struct {
	// Args are the arguments, without the program's own name.
	Args []string
	// Attached lets the program use this process's own input and output instead of a log.
	Attached bool
	// Credential is the user to run as; nil is the user of this process.
	Credential *syscall.Credential
	// DeathSignal is what the program gets when this process dies without having stopped it; SIGKILL unless set.
	DeathSignal syscall.Signal
	// Dir is the working directory.
	Dir string
	// Env is the whole environment; nothing is inherited.
	Env []string
	// Group is the process group to join; unless set, the program gets one of its own.
	Group int
	// LogFile receives what the program writes; it is appended to.
	LogFile string
	// Name names the program in errors.
	Name string
	// Namespaces are those that the program gets anew, as Linux's CLONE flags; elsewhere there are none.
	Namespaces uintptr
	// Path is the program's file.
	Path string
}

// Process is a started program.
type Process struct {
	cmd  *exec.Cmd
	done chan struct{}
	err  error // how the program ended; readable once done is closed
	spec Spec
}

// Start runs the program. It ends by itself, by Stop or Kill, or with this process.
func Start(spec Spec) (*Process, error) {
	if spec.DeathSignal == 0 {
		spec.DeathSignal = syscall.SIGKILL
	}
	cmd := exec.Command(spec.Path, spec.Args...)
	cmd.Dir, cmd.Env = spec.Dir, spec.Env
	cmd.SysProcAttr = attributes(spec)
	if spec.Attached {
		cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	} else {
		log, err := os.OpenFile(spec.LogFile, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
		if err != nil {
			return nil, fmt.Errorf("open the log of %s: %w", spec.Name, err)
		}
		defer func() { _ = log.Close() }() // the program has its own by then
		cmd.Stdout, cmd.Stderr = log, log
	}
	p := &Process{cmd: cmd, done: make(chan struct{}), spec: spec}
	started := make(chan error, 1)
	go p.own(started)
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", spec.Name, err)
	}
	return p, nil
}

// own lives as long as the program. The kernel sends the death signal when the thread that forked ends, not when the
// process does, so one thread is kept for the program's whole life.
func (p *Process) own(started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer close(p.done)

	err := p.cmd.Start()
	started <- err
	if err == nil {
		p.err = p.cmd.Wait()
	}
}

// Done is closed when the program has ended.
func (p *Process) Done() <-chan struct{} {
	return p.done
}

// ExitStatus is what a shell would show: the program's own status, or 128 and the number of the signal that ended
// it. Call it once Done is closed.
func (p *Process) ExitStatus() int {
	state := p.cmd.ProcessState
	if status, ok := state.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return 128 + int(status.Signal())
	}
	return state.ExitCode()
}

// PID is the program's process id.
func (p *Process) PID() int {
	return p.cmd.Process.Pid
}

// Failure says how the program ended, with the end of its log. Call it once Done is closed.
func (p *Process) Failure() error {
	how := "exit status 0"
	if p.err != nil {
		how = p.err.Error()
	}
	return fmt.Errorf("%s %w: %s\n%s", p.spec.Name, ErrEnded, how, p.Tail())
}

// SignalGroup sends a signal to the program and to what it has started, as far as that is in its group.
func (p *Process) SignalGroup(signal syscall.Signal) error {
	group := p.spec.Group
	if group == 0 {
		group = p.PID()
	}
	if err := syscall.Kill(-group, signal); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("signal %s: %w", p.spec.Name, err)
	}
	return nil
}

// Stop asks the program to end, and kills its group when it has not ended within grace or when ctx ends.
func (p *Process) Stop(ctx context.Context, grace time.Duration) error {
	return p.StopWith(ctx, syscall.SIGTERM, grace)
}

// StopWith is Stop with another signal than SIGTERM.
func (p *Process) StopWith(ctx context.Context, signal syscall.Signal, grace time.Duration) error {
	if err := p.cmd.Process.Signal(signal); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("stop %s: %w", p.spec.Name, err)
	}
	limit := time.NewTimer(grace)
	defer limit.Stop()
	select {
	case <-p.done:
		return nil
	case <-limit.C:
	case <-ctx.Done():
	}
	p.Kill()
	return ctx.Err()
}

// Kill ends the program and its group at once and waits until the program is gone.
func (p *Process) Kill() {
	select {
	case <-p.done:
		return // the id may belong to another program by now
	default:
	}
	// The group may be gone already; the program itself is waited for either way.
	_ = p.SignalGroup(syscall.SIGKILL)
	<-p.done
}

package sandbox

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"

	"app238.com/inner/test/stack/command"
	"app238.com/inner/test/stack/process"
	"app238.com/inner/test/stack/workdir"
)

// Arguments that make a program the keeper or the first process of a sandbox, for internal use.
const (
	keeperArgument = "keep-sandbox"
	firstArgument  = "begin-sandbox"
)

// lifeline is the keeper's file that ends when the process that has started it does.
const lifeline = 3

// Run runs this program again with the arguments in a sandbox of its own, and returns its exit status once nothing of
// the sandbox is left. A folder usr is laid over /usr inside, unless it is empty. Signals are passed on.
//
// The program has to call Main first. A keeper, a process outside of the sandbox, owns it, so that nothing stays
// either when this process is killed.
func Run(usr string, arguments []string) (int, error) {
	self, err := os.Executable()
	if err != nil {
		return command.Failure, err
	}
	life, own, err := os.Pipe()
	if err != nil {
		return command.Failure, err
	}
	defer func() { _ = own.Close() }()
	cmd := exec.Command(self, append([]string{keeperArgument, usr}, arguments...)...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.ExtraFiles = []*os.File{life}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // the terminal's signals come from here

	signals, release := command.Signals()
	defer release()
	orphaned, stop := command.WatchParent()
	defer stop()
	err = cmd.Start()
	_ = life.Close()
	if err != nil {
		return command.Failure, fmt.Errorf("start the keeper: %w", err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	for {
		select {
		case err := <-ended:
			var exit *exec.ExitError
			if err != nil && !errors.As(err, &exit) {
				return command.Failure, fmt.Errorf("wait for the keeper: %w", err)
			}
			return cmd.ProcessState.ExitCode(), nil
		case s := <-signals:
			_ = cmd.Process.Signal(s) // it may have ended by itself
		case <-orphaned:
			orphaned = nil
			_ = cmd.Process.Signal(syscall.SIGTERM)
		}
	}
}

// Main is called first by a program that calls Run, with its arguments. Where they make it the keeper or the first
// process of a sandbox, mine is true: it is then to end with that status.
func Main(arguments []string) (status int, mine bool) {
	if len(arguments) < 2 {
		return 0, false
	}
	var err error
	switch arguments[0] {
	case keeperArgument:
		status, err = keep(arguments[1], arguments[2:])
	case firstArgument:
		status, err = begin(arguments[1:])
	default:
		return 0, false
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "sandbox:", err)
		status = max(status, command.Failure)
	}
	return status, true
}

// keep makes the sandbox, runs the program in it, and removes it when the program ends or when whoever wanted it dies.
func keep(usr string, arguments []string) (status int, err error) {
	syscall.CloseOnExec(lifeline)
	signals, release := command.Signals()
	defer release()
	dir, err := workdir.New()
	if err != nil {
		return command.Failure, err
	}
	defer func() { err = errors.Join(err, dir.Close()) }()
	if err := removeAbandoned(dir.Path()); err != nil {
		return command.Failure, err
	}
	group := filepath.Base(dir.Path())
	defer func() {
		err = errors.Join(err, removeGroups(context.Background(), group, func(string) bool { return true }))
	}()
	if err := makeGroup(group); err != nil {
		return command.Failure, err
	}
	first, err := startFirst(dir.Path(), group, usr, arguments)
	if err != nil {
		return command.Failure, err
	}
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		_, _ = io.Copy(io.Discard, os.NewFile(lifeline, "lifeline")) // whatever ends it, the other side is gone
	}()
	for {
		select {
		case <-first.Done():
			return first.ExitStatus(), nil
		case s := <-signals:
			if number, ok := s.(syscall.Signal); ok {
				_ = first.SignalGroup(number) // it may have ended by itself
			}
		case <-gone:
			first.Kill() // the kernel ends everything else in its namespace with it
			return command.Failure, nil
		}
	}
}

// startFirst starts the first process of the sandbox.
func startFirst(dir, group, usr string, arguments []string) (*process.Process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	temporary := filepath.Join(dir, "tmp")
	if err := errors.Join(os.Mkdir(temporary, 0o755), os.Chmod(temporary, os.ModeSticky|0o777)); err != nil {
		return nil, err
	}
	return process.Start(process.Spec{
		Args:       append([]string{firstArgument, dir, usr}, arguments...),
		Attached:   true,
		Env:        append(os.Environ(), envDir+"="+dir, envGroup+"="+group, "TMPDIR="+temporary),
		Name:       "the sandbox",
		Namespaces: namespaces,
		Path:       self,
	})
}

// removeAbandoned removes the groups of sandboxes whose folders are gone: those of keepers that were killed.
func removeAbandoned(own string) error {
	parent := filepath.Dir(own)
	return removeGroups(context.Background(), fmt.Sprintf("inner-stack-%d-*", os.Getuid()), func(name string) bool {
		_, err := os.Stat(filepath.Join(parent, name))
		return errors.Is(err, os.ErrNotExist)
	})
}

package command

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
)

// guardArgument makes a program the guard of another run of itself, for internal use.
const guardArgument = "guard-process-group"

// Guard is called first by a program that calls Run, with its arguments. Where they make it the guard of another run
// of itself, mine is true: it is then to end with that status.
func Guard(arguments []string) (status int, mine bool) {
	if len(arguments) != 1 || arguments[0] != guardArgument {
		return 0, false
	}
	guard(os.Stdin, os.Stdout)
	return Failure, true
}

// startGuard starts a process that leads the process group which the command is to run in, and that kills the group
// when release is called or this process dies. The servers need no guard: the kernel tells them. It tells only direct
// children, though, and a command such as `go test` has children of its own.
func startGuard() (group int, release func(), err error) {
	self, err := os.Executable()
	if err != nil {
		return 0, nil, err
	}
	cmd := exec.Command(self, guardArgument)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	input, err := cmd.StdinPipe()
	if err != nil {
		return 0, nil, err
	}
	output, err := cmd.StdoutPipe()
	if err != nil {
		return 0, nil, err
	}
	if err := cmd.Start(); err != nil {
		return 0, nil, err
	}
	release = func() {
		_ = input.Close()
		_ = cmd.Wait() // it dies with its group
	}
	if _, err := output.Read(make([]byte, 1)); err != nil {
		release()
		return 0, nil, fmt.Errorf("wait until it is ready: %w", err)
	}
	return cmd.Process.Pid, release, nil
}

// guard says that it is ready, waits until its input ends, and kills its process group, itself included.
func guard(input io.Reader, output io.Writer) {
	// They are meant for the command.
	signal.Ignore(os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	if _, err := fmt.Fprintln(output, "ready"); err != nil {
		return
	}
	_, _ = io.Copy(io.Discard, input) // whatever ends it, the other side is gone
	_ = syscall.Kill(0, syscall.SIGKILL)
}

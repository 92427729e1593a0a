package sandbox

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
)

// namespaces are those that a sandbox has of its own.
const namespaces = syscall.CLONE_NEWNS | syscall.CLONE_NEWNET | syscall.CLONE_NEWPID | syscall.CLONE_NEWIPC

// Possible returns nil where sandboxes can be had, and else says in one line why not.
func Possible() error {
	if os.Geteuid() != 0 {
		return errors.New("it needs root")
	}
	mounted, err := hierarchies()
	if err != nil {
		return fmt.Errorf("control groups: %w", err)
	}
	probe, err := os.MkdirTemp(mounted[0], "inner-probe-*") // others may ask at the same time
	if err != nil {
		return fmt.Errorf("control groups cannot be made: %w", err)
	}
	if err := syscall.Rmdir(probe); err != nil {
		return fmt.Errorf("control groups cannot be removed: %w", err)
	}
	cmd := exec.Command("/bin/sh", "-c", "mount --make-rprivate / && mount -t tmpfs probe /run")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: namespaces}
	if output, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("namespaces of its own with mounts: %w %q", err, output)
	}
	return nil
}

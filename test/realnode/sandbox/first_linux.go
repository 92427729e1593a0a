package sandbox

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"app238.com/inner/test/stack/command"
)

// begin is the first process of the sandbox: it makes the mounts, runs the program, and buries the processes that
// lost their parents. When it ends, the kernel ends all the others.
func begin(arguments []string) (int, error) {
	// Signals go to its whole group and are the program's; the first process of a namespace has no default for them.
	_, release := command.Signals()
	defer release()
	dir, usr, program := arguments[0], arguments[1], arguments[2:]
	if err := isolate(dir, usr); err != nil {
		return command.Failure, fmt.Errorf("make its mounts: %w", err)
	}
	self, err := os.Executable()
	if err != nil {
		return command.Failure, err
	}
	child, err := syscall.ForkExec(self, append([]string{self}, program...), &syscall.ProcAttr{
		Env: os.Environ(), Files: []uintptr{0, 1, 2},
	})
	if err != nil {
		return command.Failure, fmt.Errorf("start the program: %w", err)
	}
	for {
		var status syscall.WaitStatus
		ended, err := syscall.Wait4(-1, &status, 0, nil)
		switch {
		case errors.Is(err, syscall.EINTR):
		case err != nil:
			return command.Failure, fmt.Errorf("wait for the program: %w", err)
		case ended == child && status.Signaled():
			return 128 + int(status.Signal()), nil
		case ended == child:
			return status.ExitStatus(), nil
		}
	}
}

// isolate gives the sandbox mounts of its own.
func isolate(dir, usr string) error {
	if err := mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""); err != nil {
		return err
	}
	resolv, err := filepath.EvalSymlinks("/etc/resolv.conf")
	if err != nil {
		return err
	}
	const quiet = syscall.MS_NOSUID | syscall.MS_NODEV
	err = errors.Join(
		mount("proc", "/proc", "proc", quiet|syscall.MS_NOEXEC, ""),
		mount("run", "/run", "tmpfs", quiet, "mode=755"),
		mount("shm", "/dev/shm", "tmpfs", quiet, ""),
		layOver(dir, "/var/lib"),
		layOver(dir, "/var/log"),
		pretendKernelSettings(filepath.Join(dir, "kernel")),
		ownFile(filepath.Join(dir, "resolv.conf"), resolv),
	)
	if usr != "" {
		err = errors.Join(err, mount("usr", "/usr", "overlay", syscall.MS_RDONLY, "lowerdir="+usr+":/usr"))
	}
	return err
}

// layOver has what is written below a folder of the system land in dir instead.
func layOver(dir, folder string) error {
	layers := filepath.Join(dir, "layers", strings.ReplaceAll(folder, "/", "-"))
	upper, work := filepath.Join(layers, "upper"), filepath.Join(layers, "work")
	if err := errors.Join(os.MkdirAll(upper, 0o755), os.MkdirAll(work, 0o755)); err != nil {
		return err
	}
	return mount("overlay", folder, "overlay", 0, fmt.Sprintf("lowerdir=%s,upperdir=%s,workdir=%s", folder, upper, work))
}

// pretendKernelSettings shows the values that a kubelet wants the whole machine to have, which it would else write:
// the kernel's settings belong to no namespace.
func pretendKernelSettings(dir string) error {
	for name, value := range map[string]string{
		"kernel/keys/root_maxbytes": "25000000",
		"kernel/keys/root_maxkeys":  "1000000",
		"kernel/panic":              "10",
		"kernel/panic_on_oops":      "1",
		"vm/overcommit_memory":      "1",
		"vm/panic_on_oom":           "0",
	} {
		path := filepath.Join(dir, name)
		err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(value+"\n"), 0o644),
			mount(path, "/proc/sys/"+name, "", syscall.MS_BIND, ""))
		if err != nil {
			return err
		}
	}
	return nil
}

// ownFile has an empty file stand for one of the system.
func ownFile(path, of string) error {
	if err := os.WriteFile(path, nil, 0o644); err != nil {
		return err
	}
	if _, err := os.Stat(of); errors.Is(err, os.ErrNotExist) { // it was in a folder that is new here
		if err := errors.Join(os.MkdirAll(filepath.Dir(of), 0o755), os.WriteFile(of, nil, 0o644)); err != nil {
			return err
		}
	}
	return mount(path, of, "", syscall.MS_BIND, "")
}

func mount(source, target, kind string, flags uintptr, data string) error {
	if err := syscall.Mount(source, target, kind, flags, data); err != nil {
		return fmt.Errorf("mount %s: %w", target, err)
	}
	return nil
}

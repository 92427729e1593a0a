package build

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
)

// servicePolicy is Debian's switch for which services a package may start when it is installed.
const servicePolicy = "/usr/sbin/policy-rc.d"

// Debian returns the path of a file that a Debian package brings, such as /usr/sbin/pgbouncer. As root on Debian it
// installs the package where the file is missing; elsewhere that is an error which names both.
func Debian(ctx context.Context, opts Options, pkg, file string) (string, error) {
	installed := func() bool { return exists(file) }
	if !installed() {
		if err := installDebian(ctx, opts, pkg, installed); err != nil {
			return "", fmt.Errorf("%s is missing, install the Debian package %s: %w", file, pkg, err)
		}
	}
	return file, nil
}

// installDebian installs a package unless installed tells that it is there by the time nobody else installs.
func installDebian(ctx context.Context, opts Options, pkg string, installed func() bool) error {
	opts, err := opts.withDefaults()
	if err != nil {
		return err
	}
	apt, err := exec.LookPath("apt-get")
	if err != nil {
		return err
	}
	if os.Geteuid() != 0 {
		return errors.New("only root can install packages")
	}
	unlock, err := lock(ctx, opts, "debian")
	if err != nil {
		return err
	}
	defer unlock()
	if installed() {
		return nil
	}
	defer report(opts.Log, "installing "+pkg+" with apt-get")()
	// The package could start a server of its own on the default port. Nobody here asked for one.
	allow, err := forbidServices()
	if err != nil {
		return err
	}
	defer allow()
	if err := aptInstall(ctx, apt, pkg); err != nil {
		return err
	}
	if !installed() {
		return fmt.Errorf("the package %s did not bring what was expected", pkg)
	}
	return nil
}

// aptInstall has apt-get install packages by the newest lists, with further arguments.
func aptInstall(ctx context.Context, apt string, arguments ...string) error {
	for _, args := range [][]string{
		{"update"},
		append([]string{"install", "-y", "--no-install-recommends"}, arguments...),
	} {
		cmd := exec.CommandContext(ctx, apt, args...)
		cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
		if output, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("apt-get %s: %w\n%s", args[0], err, lastBytes(string(output)))
		}
	}
	return nil
}

// forbidServices keeps packages from starting services until allow is called. A policy that stands already is kept.
func forbidServices() (allow func(), err error) {
	file, err := os.OpenFile(servicePolicy, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o755)
	if errors.Is(err, fs.ErrExist) {
		return func() {}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("forbid services: %w", err)
	}
	allow = func() { _ = os.Remove(servicePolicy) }
	_, err = file.WriteString("#!/bin/sh\nexit 101\n")
	if err := errors.Join(err, file.Close()); err != nil {
		allow()
		return nil, fmt.Errorf("forbid services: %w", err)
	}
	return allow, nil
}

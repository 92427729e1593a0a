package build

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

const (
	debianPostgreSQL = "/usr/lib/postgresql"
	// servicePolicy is Debian's switch for which services a package may start when it is installed.
	servicePolicy = "/usr/sbin/policy-rc.d"
)

// errNoPostgreSQL tells the user what to do where this program cannot do it.
var errNoPostgreSQL = errors.New("PostgreSQL's server programs (initdb, postgres) were not found in " +
	debianPostgreSQL + "/*/bin, by pg_config or on PATH: install them " +
	"(Debian and Ubuntu: apt-get install postgresql; Fedora: dnf install postgresql-server; " +
	"macOS: brew install postgresql)")

// PostgreSQL returns the folder of PostgreSQL's server programs. As root on Debian it installs them where missing.
func PostgreSQL(ctx context.Context, opts Options) (string, error) {
	if dir, ok := findPostgreSQL(ctx, debianPostgreSQL); ok {
		return dir, nil
	}
	opts, err := opts.withDefaults()
	if err != nil {
		return "", err
	}
	apt, err := exec.LookPath("apt-get")
	if err != nil || os.Geteuid() != 0 {
		return "", errNoPostgreSQL
	}
	unlock, err := lock(ctx, opts, "postgresql")
	if err != nil {
		return "", err
	}
	defer unlock()
	if dir, ok := findPostgreSQL(ctx, debianPostgreSQL); ok {
		return dir, nil
	}
	if err := installPostgreSQL(ctx, opts, apt); err != nil {
		return "", fmt.Errorf("%w (tried: %w)", errNoPostgreSQL, err)
	}
	if dir, ok := findPostgreSQL(ctx, debianPostgreSQL); ok {
		return dir, nil
	}
	return "", errNoPostgreSQL
}

func findPostgreSQL(ctx context.Context, debian string) (string, bool) {
	candidates := newestFirst(debian)
	if output, err := exec.CommandContext(ctx, "pg_config", "--bindir").Output(); err == nil {
		candidates = append(candidates, strings.TrimSpace(string(output)))
	}
	if path, err := exec.LookPath("initdb"); err == nil {
		candidates = append(candidates, filepath.Dir(path))
	}
	for _, dir := range candidates {
		if exists(filepath.Join(dir, "initdb")) && exists(filepath.Join(dir, "postgres")) {
			return dir, true
		}
	}
	return "", false
}

// newestFirst lists the bin folders of Debian's layout, the highest version before the others.
func newestFirst(debian string) []string {
	entries, err := os.ReadDir(debian)
	if err != nil {
		return nil
	}
	var versions []int
	for _, entry := range entries {
		if version, err := strconv.Atoi(entry.Name()); err == nil {
			versions = append(versions, version)
		}
	}
	slices.Sort(versions)
	dirs := make([]string, 0, len(versions))
	for _, version := range slices.Backward(versions) {
		dirs = append(dirs, filepath.Join(debian, strconv.Itoa(version), "bin"))
	}
	return dirs
}

func installPostgreSQL(ctx context.Context, opts Options, apt string) error {
	defer report(opts.Log, "installing PostgreSQL with apt-get")()
	// The package would start a cluster of its own on the default port. Nobody here asked for one.
	allow, err := forbidServices()
	if err != nil {
		return err
	}
	defer allow()
	for _, args := range [][]string{
		{"update"},
		{"install", "-y", "--no-install-recommends", "postgresql"},
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

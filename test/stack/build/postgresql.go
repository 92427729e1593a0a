package build

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

const debianPostgreSQL = "/usr/lib/postgresql"

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
	installed := func() bool {
		_, ok := findPostgreSQL(ctx, debianPostgreSQL)
		return ok
	}
	if err := installDebian(ctx, opts, "postgresql", installed); err != nil {
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

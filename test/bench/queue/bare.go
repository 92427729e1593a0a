package main

import (
	"context"
	"embed"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"time"
)

//go:embed pgbench/*.sql
var pgbenchScripts embed.FS

// bare is what the database itself does, measured by pgbench on a table that is Inner's in all its columns and indexes.
type bare struct {
	fixture *fixture
	label   string
	// script is in the folder pgbench; each of its rounds counts for so many rows.
	script string
	rows   int
}

func (w *fixture) bareParties() []party {
	return []party{
		&bare{w, "bare-insert", "insert.sql", 1},
		&bare{w, "bare-insert-update", "insert-update.sql", 1},
		&bare{w, "bare-insert-100", "insert-100.sql", 100},
	}
}

func (b *bare) name() string { return b.label }

func (b *bare) in(s scenario) func(ctx context.Context) (sample, error) {
	if s.producers == 0 {
		return nil
	}
	return func(ctx context.Context) (sample, error) { return b.measure(ctx, s.producers) }
}

// bareWarmUp is how many rounds each connection makes before it is measured.
const bareWarmUp = 50

func (b *bare) measure(ctx context.Context, connections int) (sample, error) {
	ctx, cancel := context.WithTimeout(ctx, cellTimeout)
	defer cancel()
	if err := b.fixture.bare.fresh(ctx, b.fixture.options.prefill); err != nil {
		return nil, err
	}
	if _, err := b.pgbench(ctx, connections, "--transactions", strconv.Itoa(bareWarmUp)); err != nil {
		return nil, err
	}
	if err := b.fixture.bare.vacuum(ctx); err != nil {
		return nil, err
	}
	seconds := max(1, int(b.fixture.options.closed/time.Second))
	report, err := b.pgbench(ctx, connections, "--time", strconv.Itoa(seconds))
	if err != nil {
		return nil, err
	}
	rate, err := reported(report, rateLine)
	if err != nil {
		return nil, err
	}
	return sample{completed: rate * float64(b.rows)}, nil
}

// pgbench runs the script on the given number of connections, with prepared statements, and returns its report.
func (b *bare) pgbench(ctx context.Context, connections int, args ...string) (string, error) {
	content, err := pgbenchScripts.ReadFile("pgbench/" + b.script)
	if err != nil {
		return "", err
	}
	file := filepath.Join(b.fixture.scratch, b.script)
	if err := os.WriteFile(file, content, 0o600); err != nil {
		return "", err
	}
	args = append(args, "--no-vacuum", "--protocol=prepared", "--file", file,
		"--client", strconv.Itoa(connections), "--jobs", strconv.Itoa(min(2, connections)),
		"--host=127.0.0.1", "--port", strconv.Itoa(b.fixture.server.Port()), "--username=postgres", "bare")
	cmd := exec.CommandContext(ctx, filepath.Join(b.fixture.binDir, "pgbench"), args...)
	cmd.Env = append(os.Environ(), "PGPASSWORD="+b.fixture.server.Password())
	output, err := cmd.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("pgbench: %w\n%s", err, output)
	}
	return string(output), nil
}

var rateLine = regexp.MustCompile(`(?m)^tps = ([0-9.]+)`)

// reported finds a number in pgbench's report.
func reported(report string, line *regexp.Regexp) (float64, error) {
	found := line.FindStringSubmatch(report)
	if found == nil {
		return 0, fmt.Errorf("pgbench's report has no line %s:\n%s", line, report)
	}
	return strconv.ParseFloat(found[1], 64)
}

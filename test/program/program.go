// Package program builds the program that the tests of a package run.
package program

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strconv"
	"testing"
)

// variable tells the tests where the program is.
const variable = "INNER_TEST_PROGRAM"

// Run builds the program of a package once for all tests, with the race detector where they have it, runs the tests and returns the
// exit status.
func Run(m *testing.M, of string) int {
	folder, err := os.MkdirTemp("", "inner-program-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(folder) }()
	path := filepath.Join(folder, filepath.Base(of))
	build := exec.CommandContext(context.Background(), "go", "build", "-race="+strconv.FormatBool(detectsRaces()), "-o", path, of)
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		fmt.Fprintf(os.Stderr, "build %s: %v\n", of, err)
		return 1
	}
	if err := os.Setenv(variable, path); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// detectsRaces tells whether this test was built with the race detector.
func detectsRaces() bool {
	info, ok := debug.ReadBuildInfo()
	return ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"})
}

// Path returns where the program is. It reads a variable that differs in each run of make test: go test does not see that
// the program has changed, and would take a former result for the present one.
func Path() string {
	_ = os.Getenv("INNER_TEST_KUBECONFIG")
	return os.Getenv(variable)
}

// Package e2e_test runs the built program as its users do: over HTTP, on a real database and a real cluster, through
// crashes and outages.
package e2e_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

func TestMain(m *testing.M) { os.Exit(run(m)) }

// run builds the program once for all tests.
func run(m *testing.M) int {
	folder, err := os.MkdirTemp("", "inner-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(folder) }()
	program := filepath.Join(folder, "inner")
	build := exec.Command("go", "build", "-race", "-o", program, "app238.com/inner/cmd/inner")
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "build inner:", err)
		return 1
	}
	if err := os.Setenv(programVariable, program); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// programVariable tells the tests where the program is.
const programVariable = "INNER_E2E_PROGRAM"

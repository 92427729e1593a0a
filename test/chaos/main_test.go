// Package chaos_test runs replicas of the queue on one database and does to them what operations do: kills, restarts,
// standstills, lost answers.
package chaos_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// programVariable tells the tests where the replica's program is.
const programVariable = "INNER_CHAOS_PROGRAM"

func TestMain(m *testing.M) { os.Exit(run(m)) }

// run builds the replica once for all tests.
func run(m *testing.M) int {
	folder, err := os.MkdirTemp("", "inner-chaos-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(folder) }()
	program := filepath.Join(folder, "replica")
	build := exec.Command("go", "build", "-race", "-o", program, "app238.com/inner/test/chaos/replica")
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "build the replica:", err)
		return 1
	}
	if err := os.Setenv(programVariable, program); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// Package platform_test runs the whole program, two replicas of it, on servers of its own, sends it what the Outer Gateway
// sends, and breaks in random order whatever can break: the program, its database, the tenants' engines, the cluster, the
// network, the DNS. Afterwards everything has to be as the accepted requests say.
package platform_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// programVariable tells the test where the program is.
const programVariable = "INNER_CHAOS_INNER"

func TestMain(m *testing.M) { os.Exit(run(m)) }

// run builds the program.
func run(m *testing.M) int {
	folder, err := os.MkdirTemp("", "inner-platform-")
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

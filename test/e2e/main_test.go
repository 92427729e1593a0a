// Package e2e_test runs the built program as its users do: over HTTP, on a real database and a real cluster, through
// crashes and outages.
package e2e_test

import (
	"os"
	"testing"

	"app238.com/inner/test/program"
)

func TestMain(m *testing.M) { os.Exit(program.Run(m, "app238.com/inner/cmd/inner")) }

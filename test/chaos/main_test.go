// Package chaos_test runs replicas of the queue on one database and does to them what operations do: kills, restarts,
// standstills, lost answers.
package chaos_test

import (
	"os"
	"testing"

	"app238.com/inner/test/program"
)

func TestMain(m *testing.M) { os.Exit(program.Run(m, "app238.com/inner/test/chaos/replica")) }

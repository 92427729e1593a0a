// Package platform_test runs the whole program, two replicas of it, on servers of its own, sends it what the Outer Gateway
// sends, and breaks in random order whatever can break: the program, its database, the tenants' engines, the cluster, the
// network, the DNS. Afterwards everything has to be as the accepted requests say.
package platform_test

import (
	"os"
	"testing"

	"app238.com/inner/test/program"
)

func TestMain(m *testing.M) { os.Exit(program.Run(m, "app238.com/inner/cmd/inner")) }

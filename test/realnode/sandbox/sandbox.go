// Package sandbox runs a program again in namespaces of its own (network, mounts, processes, shared memory) and in
// control groups of its own, as root. Whatever it does there to the machine's network, mounts and folders of the
// system is gone when it ends, by itself or killed, together with every process that it has left behind.
package sandbox

import "os"

// Environment variables of a program inside.
const (
	envDir   = "INNER_TEST_SANDBOX_DIR"
	envGroup = "INNER_TEST_SANDBOX_GROUP"
)

// Place is what a program inside has for itself.
type Place struct {
	// Dir is a folder that is removed at the end. Its resolv.conf, empty at first, is what names are resolved by.
	Dir string
	// Group is the name of the control group below the root of each hierarchy that everything of the sandbox may be
	// put under.
	Group string
}

// Inside returns the place of this process, and false where it runs in no sandbox.
func Inside() (Place, bool) {
	place := Place{Dir: os.Getenv(envDir), Group: os.Getenv(envGroup)}
	return place, place.Dir != ""
}

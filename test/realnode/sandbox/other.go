//go:build unix && !linux

package sandbox

// Possible says why this machine has no sandboxes.
func Possible() error { return errNotHere }

// Run cannot do anything here.
func Run(string, []string) (int, error) { return 1, errNotHere }

// Main has nothing to do here.
func Main([]string) (status int, mine bool) { return 0, false }

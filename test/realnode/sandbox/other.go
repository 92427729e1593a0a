//go:build unix && !linux

package sandbox

import "errors"

// errNotHere says why there is no sandbox.
var errNotHere = errors.New("it is not Linux")

// Possible says why this machine has no sandboxes.
func Possible() error { return errNotHere }

// Run cannot do anything here.
func Run(string, []string) (int, error) { return 1, errNotHere }

// Subgroup cannot do anything here.
func (Place) Subgroup(string) (string, error) { return "", errNotHere }

// Main has nothing to do here.
func Main([]string) (status int, mine bool) { return 0, false }

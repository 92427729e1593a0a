//go:build unix && !linux

package process

import "syscall"

// Only Linux tells a program that its parent has died.
func attributes(spec Spec) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Credential: spec.Credential, Pgid: spec.Group, Setpgid: true}
}

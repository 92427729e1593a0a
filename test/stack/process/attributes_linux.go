package process

import "syscall"

func attributes(spec Spec) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{
		Credential: spec.Credential,
		Pdeathsig:  spec.DeathSignal,
		Pgid:       spec.Group,
		Setpgid:    true,
	}
}

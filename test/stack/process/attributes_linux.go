package process

import "syscall"

func attributes(spec Spec) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{
		Cloneflags: spec.Namespaces,
		Credential: spec.Credential,
		Pdeathsig:  spec.DeathSignal,
		Pgid:       spec.Group,
		Setpgid:    true,
	}
}

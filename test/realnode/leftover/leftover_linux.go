// Package leftover finds what a sandbox has left on the machine.
package leftover

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"app238.com/inner/test/realnode/network"
)

// Machine is what a sandbox must not change: folders of the system, control groups and settings of the kernel.
type Machine struct {
	folders  map[string]bool
	groups   []string
	settings map[string]string
}

// Observe notes how the machine is.
func Observe() (Machine, error) {
	m := Machine{folders: map[string]bool{}, settings: map[string]string{}}
	for _, folder := range []string{"/run/containerd", "/run/netns", "/run/xtables.lock", "/var/lib/cni", "/var/lib/kubelet",
		"/var/lib/containerd", "/var/log/containers", "/var/log/pods", "/opt/cni", "/etc/cni"} {
		_, err := os.Stat(folder)
		m.folders[folder] = err == nil
	}
	for _, setting := range []string{"kernel/panic", "kernel/panic_on_oops", "kernel/keys/root_maxkeys", "kernel/keys/root_maxbytes",
		"vm/overcommit_memory", "vm/panic_on_oom", "net/ipv4/ip_forward"} {
		value, err := os.ReadFile("/proc/sys/" + setting)
		if err != nil {
			return m, err
		}
		m.settings[setting] = string(value)
	}
	var err error
	m.groups, err = filepath.Glob("/sys/fs/cgroup/*/*/cgroup.procs")
	return m, err
}

// Of lists what is left of the sandbox with that folder, and what has changed on the machine.
func (m Machine) Of(dir string) ([]string, error) {
	now, err := Observe()
	if err != nil {
		return nil, err
	}
	var left []string
	for folder, was := range m.folders {
		if now.folders[folder] && !was {
			left = append(left, folder)
		}
	}
	for _, group := range now.groups {
		// Other sandboxes may begin and end meanwhile.
		if !slices.Contains(m.groups, group) && !strings.Contains(group, "/inner-") {
			left = append(left, group)
		}
	}
	for setting, was := range m.settings {
		if now.settings[setting] != was {
			left = append(left, fmt.Sprintf("%s is %s, not %s", setting, now.settings[setting], was))
		}
	}
	for _, name := range []string{network.Bridge, "wan", "port0"} {
		if _, err := net.InterfaceByName(name); err == nil {
			left = append(left, "interface "+name)
		}
	}
	if _, err := os.Stat(dir); err == nil {
		left = append(left, dir)
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	if strings.Contains(string(mounts), dir) {
		left = append(left, "a mount of "+dir)
	}
	for _, hierarchy := range []string{"/sys/fs/cgroup", "/sys/fs/cgroup/*"} {
		groups, err := filepath.Glob(filepath.Join(hierarchy, filepath.Base(dir)))
		if err != nil {
			return nil, err
		}
		left = append(left, groups...)
	}
	processes, err := processesOf(dir)
	return append(left, processes...), err
}

// processesOf lists processes that know the folder, or that are in the control group, whose name is the folder's.
func processesOf(dir string) ([]string, error) {
	folders, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return nil, err
	}
	var found []string
	for _, folder := range folders {
		for _, file := range []string{"cgroup", "cmdline", "environ"} {
			// It may have ended by now.
			content, err := os.ReadFile(filepath.Join(folder, file))
			if err == nil && strings.Contains(string(content), filepath.Base(dir)) {
				found = append(found, folder)
				break
			}
		}
	}
	return found, nil
}

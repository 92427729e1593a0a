package sandbox

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

const (
	groupsRoot = "/sys/fs/cgroup"
	// groupPoll is how often a group is asked again whether it has become empty, groupLimit for how long.
	groupPoll  = 20 * time.Millisecond
	groupLimit = 20 * time.Second
)

// hierarchies lists where hierarchies of control groups are mounted, of either version.
func hierarchies() ([]string, error) {
	data, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	var found []string
	for line := range strings.Lines(string(data)) {
		before, after, ok := strings.Cut(line, " - ")
		fields, kind := strings.Fields(before), strings.Fields(after)
		if !ok || len(fields) < 5 || len(kind) == 0 || !strings.HasPrefix(kind[0], "cgroup") {
			continue
		}
		if point := fields[4]; strings.HasPrefix(point, groupsRoot) && !slices.Contains(found, point) {
			found = append(found, point)
		}
	}
	if len(found) == 0 {
		return nil, errors.New("none are mounted below " + groupsRoot)
	}
	return found, nil
}

// Subgroup makes a control group below the place's, which ends with it, and returns its path below the root of each hierarchy.
func (p Place) Subgroup(name string) (string, error) {
	path := filepath.Join(p.Group, name)
	return path, makeGroup(path)
}

// makeGroup makes the control group of that name, or path, in each hierarchy.
func makeGroup(name string) error {
	mounted, err := hierarchies()
	if err != nil {
		return err
	}
	for _, hierarchy := range mounted {
		group := filepath.Join(hierarchy, name)
		if len(mounted) == 1 {
			if err := enableControllers(filepath.Dir(group)); err != nil {
				return err
			}
		}
		if err := os.Mkdir(group, 0o755); err != nil {
			return fmt.Errorf("make a control group: %w", err)
		}
	}
	return nil
}

// enableControllers has the groups below one of version 2 be limited by every controller.
func enableControllers(group string) error {
	data, err := os.ReadFile(filepath.Join(group, "cgroup.controllers"))
	if errors.Is(err, os.ErrNotExist) {
		return nil // version 1
	}
	if err != nil {
		return err
	}
	enabled := strings.Join(strings.Fields("+"+strings.ReplaceAll(strings.TrimSpace(string(data)), " ", " +")), " ")
	if err := os.WriteFile(filepath.Join(group, "cgroup.subtree_control"), []byte(enabled), 0); err != nil {
		return fmt.Errorf("enable the controllers %s: %w", enabled, err)
	}
	return nil
}

// removeGroups removes the groups whose names match the pattern in all hierarchies, as soon as they are empty.
func removeGroups(ctx context.Context, pattern string, abandoned func(name string) bool) error {
	ctx, cancel := context.WithTimeout(ctx, groupLimit)
	defer cancel()
	mounted, err := hierarchies()
	if err != nil {
		return err
	}
	for _, hierarchy := range mounted {
		paths, err := filepath.Glob(filepath.Join(hierarchy, pattern))
		if err != nil {
			return err
		}
		for _, path := range paths {
			if !abandoned(filepath.Base(path)) {
				continue
			}
			if err := removeTree(ctx, path); err != nil {
				return fmt.Errorf("remove a control group: %w", err)
			}
		}
	}
	return nil
}

// removeTree removes a group with those below it. The files in it are the kernel's and go with it. A group stays busy
// for a moment after its last process.
func removeTree(ctx context.Context, path string) error {
	entries, err := os.ReadDir(path)
	if errors.Is(err, os.ErrNotExist) { // another sandbox that begins removes the same
		return nil
	}
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if !entry.IsDir() {
			continue
		}
		if err := removeTree(ctx, filepath.Join(path, entry.Name())); err != nil {
			return err
		}
	}
	ticker := time.NewTicker(groupPoll)
	defer ticker.Stop()
	for {
		err := syscall.Rmdir(path)
		if err == nil || errors.Is(err, os.ErrNotExist) {
			return nil
		}
		if !errors.Is(err, syscall.EBUSY) {
			return fmt.Errorf("%s: %w", path, err)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s: %w", path, err)
		case <-ticker.C:
		}
	}
}

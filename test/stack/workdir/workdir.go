// Package workdir makes temporary folders that are removed even when their owner was killed: by the next owner.
package workdir

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

const (
	// lockName is the file whose lock says that a folder's owner lives; the kernel drops the lock when it dies.
	lockName = "owner.lock"
	// mode lets other users through, since PostgreSQL runs as one of its own; they cannot list the folder.
	mode = 0o711
)

// Dir is a temporary folder.
type Dir struct {
	gate string // the file that lets one process at a time make or remove folders
	lock *os.File
	path string
}

// New makes a folder under the system's folder for temporary files, and removes those of owners that have died.
func New() (*Dir, error) {
	return newIn(os.TempDir())
}

func newIn(parent string) (*Dir, error) {
	prefix := fmt.Sprintf("inner-stack-%d", os.Getuid())
	// One at a time: a folder that has no lock yet, or no longer, must not look like an abandoned one.
	gatePath := filepath.Join(parent, prefix+".lock")
	gate, err := locked(gatePath, syscall.LOCK_EX)
	if err != nil {
		return nil, fmt.Errorf("lock %s: %w", parent, err)
	}
	defer func() { _ = gate.Close() }()

	// A folder that cannot be removed now stays for the next one to try.
	_ = removeAbandoned(parent, prefix+"-*")
	path, err := os.MkdirTemp(parent, prefix+"-")
	if err != nil {
		return nil, fmt.Errorf("make a temporary folder: %w", err)
	}
	lock, err := own(path)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("own %s: %w", path, err), os.RemoveAll(path))
	}
	return &Dir{gate: gatePath, lock: lock, path: path}, nil
}

func own(path string) (*os.File, error) {
	if err := os.Chmod(path, mode); err != nil {
		return nil, err
	}
	return locked(filepath.Join(path, lockName), syscall.LOCK_EX)
}

func removeAbandoned(parent, pattern string) error {
	paths, err := filepath.Glob(filepath.Join(parent, pattern))
	if err != nil {
		return err
	}
	var failures []error
	for _, path := range paths {
		lock, err := locked(filepath.Join(path, lockName), syscall.LOCK_EX|syscall.LOCK_NB)
		if err != nil {
			continue // its owner lives
		}
		failures = append(failures, os.RemoveAll(path), lock.Close())
	}
	return errors.Join(failures...)
}

func locked(path string, how int) (*os.File, error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(file.Fd()), how); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
}

// Path is the folder's path.
func (d *Dir) Path() string {
	return d.path
}

// Sub makes a folder inside.
func (d *Dir) Sub(name string) (string, error) {
	path := filepath.Join(d.path, name)
	if err := os.Mkdir(path, mode); err != nil {
		return "", fmt.Errorf("make a folder: %w", err)
	}
	return path, nil
}

// Close removes the folder with all that it holds. A second call does nothing.
func (d *Dir) Close() error {
	gate, err := locked(d.gate, syscall.LOCK_EX)
	if err != nil {
		return fmt.Errorf("remove %s: %w", d.path, err)
	}
	defer func() { _ = gate.Close() }()
	err = os.RemoveAll(d.path)
	if closeErr := d.lock.Close(); !errors.Is(closeErr, os.ErrClosed) {
		err = errors.Join(err, closeErr)
	}
	return err
}

package postgres

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"app238.com/inner/test/stack/build"
)

// fakeTime is the Debian package of the library that stands between the server and the machine's clock.
const fakeTime = "libfaketime"

// clockFile is the name of the file that holds an offset.
const clockFile = "clock"

// clock is a server's own: the machine's, moved by an offset.
type clock struct {
	library string
	file    string // holds the offset
	account account
}

// newClock installs what it needs, and keeps its offset in a folder.
func newClock(ctx context.Context, opts Options, account account, folder string) (*clock, error) {
	libraries, err := libraryFolder()
	if err != nil {
		return nil, err
	}
	library, err := build.Debian(ctx, build.Options{Log: opts.Log}, fakeTime,
		filepath.Join(libraries, "faketime", "libfaketime.so.1"))
	if err != nil {
		return nil, err
	}
	c := &clock{library: library, file: filepath.Join(folder, clockFile), account: account}
	if err := c.set(0); err != nil {
		return nil, err
	}
	return c, nil
}

// copy keeps an offset like this one's in another folder.
func (c *clock) copy(folder string) (*clock, error) {
	if c == nil {
		return nil, nil
	}
	offset, err := os.ReadFile(c.file)
	if err != nil {
		return nil, err
	}
	other := &clock{library: c.library, file: filepath.Join(folder, clockFile), account: c.account}
	if err := other.write(offset); err != nil {
		return nil, err
	}
	return other, nil
}

// libraryFolder is where Debian keeps this machine's libraries.
func libraryFolder() (string, error) {
	for architecture, name := range map[string]string{"amd64": "x86_64-linux-gnu", "arm64": "aarch64-linux-gnu"} {
		if architecture == runtime.GOARCH {
			return "/usr/lib/" + name, nil
		}
	}
	return "", fmt.Errorf("a server's own clock on %s: not known how", runtime.GOARCH)
}

// environment has the server read the clock. The monotonic one, by which it sleeps, is the machine's. A statement's time
// limit may come late after a step forward, as with a real one: the server believes a timer that it set before.
func (c *clock) environment() []string {
	if c == nil {
		return nil
	}
	return []string{
		"LD_PRELOAD=" + c.library, "FAKETIME_TIMESTAMP_FILE=" + c.file, "FAKETIME_NO_CACHE=1", "FAKETIME_DONT_FAKE_MONOTONIC=1",
		"FAKETIME_DONT_RESET=1",
	}
}

// set moves the clock to an offset from the machine's.
func (c *clock) set(offset time.Duration) error {
	return c.write(fmt.Appendf(nil, "%+d\n", int64(offset.Seconds())))
}

// write replaces the file with the offset: it is read at every question for the time.
func (c *clock) write(offset []byte) error {
	next := c.file + ".next"
	if err := errors.Join(os.WriteFile(next, offset, 0o600), c.account.own(next)); err != nil {
		return fmt.Errorf("set the server's clock: %w", err)
	}
	return os.Rename(next, c.file)
}

// StepClock sets the clock of a server with a clock of its own to an offset from the machine's, in whole seconds. Whatever
// runs meets it when it reads the time next.
func (s *Server) StepClock(offset time.Duration) error {
	if s.clock == nil {
		return errors.New("the server has no clock of its own")
	}
	return s.clock.set(offset)
}

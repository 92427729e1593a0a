package platform_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"app238.com/inner/test/program"
)

// replicas is how many there are of Inner.
const replicas = 2

// fleet is the replicas of Inner. One that is killed is replaced.
type fleet struct {
	fixture *fixture
	log     *os.File

	mu      sync.Mutex
	members [replicas]*replica
	started int
}

// replica is a running Inner.
type replica struct {
	cmd     *exec.Cmd
	address string
	ended   chan struct{}
	failure error
}

func newFleet(t *testing.T, w *fixture) *fleet {
	t.Helper()
	log, err := os.Create(filepath.Join(w.folder, "inner.log"))
	require.NoError(t, err)
	f := &fleet{fixture: w, log: log}
	t.Cleanup(func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		for _, r := range f.members {
			if r != nil {
				_ = r.cmd.Process.Kill()
				<-r.ended
			}
		}
		_ = log.Close()
	})
	for slot := range replicas {
		require.NoError(t, f.start(slot))
	}
	return f
}

// start puts a new replica into a slot and returns when it listens.
func (f *fleet) start(slot int) error {
	cmd := exec.Command(program.Path(), "serve", "--config", f.fixture.configFile)
	cmd.Env = append(os.Environ(), "GOMEMLIMIT=1GiB")
	stderr, err := cmd.StderrPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	r := &replica{cmd: cmd, ended: make(chan struct{})}
	listening := make(chan string, 1)
	go func() {
		defer close(r.ended)
		f.follow(stderr, listening)
		r.failure = cmd.Wait()
	}()
	select {
	case r.address = <-listening:
	case <-r.ended:
		return fmt.Errorf("a replica ended at its start: %w", r.failure)
	case <-time.After(timeout):
		return errors.Join(errors.New("a replica does not listen"), cmd.Process.Kill())
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.members[slot] = r
	f.started++
	return nil
}

// follow keeps the log and tells the address that is listened on.
func (f *fleet) follow(from io.Reader, listening chan<- string) {
	lines := bufio.NewScanner(from)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var line struct{ Msg, Address string }
		if json.Unmarshal(lines.Bytes(), &line) == nil && line.Msg == "listening" {
			listening <- "http://" + line.Address
		}
		f.mu.Lock()
		_, _ = f.log.Write(append(lines.Bytes(), '\n'))
		f.mu.Unlock()
	}
}

// address is that of a replica by chance.
func (f *fleet) address(chance *rand.Rand) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.members[chance.IntN(replicas)].address
}

func (f *fleet) signal(slot int, s syscall.Signal) error {
	f.mu.Lock()
	r := f.members[slot]
	f.mu.Unlock()
	return r.cmd.Process.Signal(s)
}

// kill ends the replica in a slot as a crash would.
func (f *fleet) kill(slot int) error {
	f.mu.Lock()
	r := f.members[slot]
	f.mu.Unlock()
	if err := r.cmd.Process.Kill(); err != nil {
		return err
	}
	<-r.ended
	return nil
}

// terminate ends all replicas as an operator would. They have to end well.
func (f *fleet) terminate(t *testing.T) {
	t.Helper()
	for slot := range replicas {
		require.NoError(t, f.signal(slot, syscall.SIGTERM))
	}
	for _, r := range f.members {
		select {
		case <-r.ended:
			require.NoError(t, r.failure, "a replica did not end well")
		case <-time.After(timeout):
			require.Fail(t, "a replica does not end")
		}
	}
	content, err := os.ReadFile(f.log.Name())
	require.NoError(t, err)
	for _, never := range []string{"DATA RACE", "panicked", "panic:"} {
		if strings.Contains(string(content), never) {
			t.Errorf("%s in the log of Inner", never)
		}
	}
}

// tail is the end of Inner's log, for a test that failed.
func (f *fleet) tail(t *testing.T) string {
	t.Helper()
	content, err := os.ReadFile(f.log.Name())
	require.NoError(t, err)
	lines := strings.Split(string(content), "\n")
	return strings.Join(lines[max(0, len(lines)-40):], "\n")
}

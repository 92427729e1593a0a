package main

import (
	"bufio"
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"app238.com/inner/test/stack/build"
)

//go:embed graphile/package.json graphile/package-lock.json graphile/bench.mjs
var nodeFiles embed.FS

// installTimeout bounds the installation of graphile-worker.
const installTimeout = 5 * time.Minute

// installGraphile installs graphile-worker into the cache, once for each state of its files, and returns the folder; ""
// where there is no Node.
func installGraphile(ctx context.Context) (string, error) {
	if _, err := exec.LookPath("node"); err != nil {
		say("graphile-worker is left out: there is no Node here")
		return "", nil
	}
	dir, err := nodeFolder()
	if err != nil {
		return "", err
	}
	if _, err := os.Stat(filepath.Join(dir, "installed")); err == nil {
		return dir, nil
	}
	say("installing graphile-worker")
	if err := os.CopyFS(dir, nodeFiles); err != nil && !errors.Is(err, os.ErrExist) {
		return "", fmt.Errorf("graphile-worker: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, installTimeout)
	defer cancel()
	npm := exec.CommandContext(ctx, "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund")
	npm.Dir = filepath.Join(dir, "graphile")
	if output, err := npm.CombinedOutput(); err != nil {
		return "", fmt.Errorf("install graphile-worker: %w\n%s", err, output)
	}
	return dir, os.WriteFile(filepath.Join(dir, "installed"), nil, 0o600)
}

// nodeFolder names the folder after what is installed there.
func nodeFolder() (string, error) {
	cache := os.Getenv(build.EnvCache)
	if cache == "" {
		user, err := os.UserCacheDir()
		if err != nil {
			return "", fmt.Errorf("find a cache folder, or set %s: %w", build.EnvCache, err)
		}
		cache = filepath.Join(user, "inner-gateway")
	}
	sum := sha256.New()
	for _, name := range []string{"package.json", "package-lock.json", "bench.mjs"} {
		content, err := nodeFiles.ReadFile("graphile/" + name)
		if err != nil {
			return "", err
		}
		sum.Write(content)
	}
	dir := filepath.Join(cache, "bench-graphile-"+hex.EncodeToString(sum.Sum(nil))[:16])
	return dir, os.MkdirAll(dir, 0o755)
}

// nodeSettings are the settings of bench.mjs; times are in milliseconds.
type nodeSettings struct {
	Migrate      bool    `json:"migrate"`
	Batched      bool    `json:"batched"`
	Concurrency  int     `json:"concurrency"`
	ProducerPool int     `json:"producerPool"`
	WarmUp       float64 `json:"warmUp"`
	WarmUpRoom   int     `json:"warmUpRoom"`
	WarmLimit    float64 `json:"warmLimit"`
	Producers    int     `json:"producers"`
	Rate         int     `json:"rate"`
	Senders      int     `json:"senders"`
	Late         float64 `json:"late"`
	Length       float64 `json:"length"`
	Drain        float64 `json:"drain"`
	Backlog      int     `json:"backlog"`
}

// nodeProcess is bench.mjs, running.
type nodeProcess struct {
	cmd    *exec.Cmd
	input  io.WriteCloser
	output *bufio.Scanner
}

func (w *fixture) startNode(ctx context.Context, dsn string, s nodeSettings) (*nodeProcess, error) {
	argument, err := json.Marshal(s)
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, "node", filepath.Join(w.node, "graphile", "bench.mjs"), string(argument))
	// NO_LOG_SUCCESS spares graphile-worker a line for each job.
	cmd.Env = append(os.Environ(), "BENCH_DSN="+dsn, "NO_LOG_SUCCESS=1", "NODE_ENV=production")
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	input, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	output, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("node: %w", err)
	}
	return &nodeProcess{cmd: cmd, input: input, output: bufio.NewScanner(output)}, nil
}

// answer waits for the next thing that the process says: that it is ready, or a sample.
func (n *nodeProcess) answer() (sample, error) {
	var said struct {
		Ready  bool   `json:"ready"`
		Sample sample `json:"sample"`
	}
	if !n.output.Scan() {
		return nil, errors.Join(errors.New("node ended early"), n.output.Err())
	}
	if err := json.Unmarshal(n.output.Bytes(), &said); err != nil {
		return nil, fmt.Errorf("node said %q: %w", n.output.Text(), err)
	}
	return said.Sample, nil
}

// proceed lets the measurement begin.
func (n *nodeProcess) proceed() error {
	_, err := io.WriteString(n.input, "go\n")
	return err
}

func (n *nodeProcess) wait() error {
	if err := n.cmd.Wait(); err != nil {
		return fmt.Errorf("node: %w", err)
	}
	return nil
}

// end kills the process where it has not ended: what it still holds is thrown away.
func (n *nodeProcess) end() {
	_ = n.cmd.Process.Kill()
	_ = n.cmd.Wait()
}

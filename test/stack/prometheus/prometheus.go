// Package prometheus runs Debian's Prometheus beside a program, with alert rules.
package prometheus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"app238.com/inner/test/stack/build"
	"app238.com/inner/test/stack/ports"
	"app238.com/inner/test/stack/process"
)

// pkg is the Debian package of both programs.
const pkg = "prometheus"

// interval is that of scrapes and evaluations.
const interval = "1s"

// Server is a running Prometheus.
type Server struct {
	process *process.Process
	url     string
}

// Options says what to scrape.
type Options struct {
	// Folder holds the configuration, the data and the log.
	Folder string
	// Targets are scraped at /metrics, host:port.
	Targets []string
	// Rules is the content of a file of rules.
	Rules []byte
}

// Programs returns the paths of prometheus and promtool. As root on Debian it installs them where they are missing.
func Programs(ctx context.Context) (server, tool string, err error) {
	if server, err = build.Debian(ctx, build.Options{Log: os.Stderr}, pkg, "/usr/bin/prometheus"); err != nil {
		return "", "", err
	}
	return server, filepath.Join(filepath.Dir(server), "promtool"), nil
}

// TestRules has promtool run a file of unit tests of rules. The error has its output.
func TestRules(ctx context.Context, file string) error {
	_, tool, err := Programs(ctx)
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, tool, "test", "rules", filepath.Base(file))
	cmd.Dir = filepath.Dir(file)
	if output, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("promtool: %w\n%s", err, output)
	}
	return nil
}

// Start starts a Prometheus and returns when it answers queries.
func Start(ctx context.Context, opts Options) (*Server, error) {
	program, _, err := Programs(ctx)
	if err != nil {
		return nil, err
	}
	found, err := ports.Free(ctx, 1)
	if err != nil {
		return nil, err
	}
	address := fmt.Sprintf("127.0.0.1:%d", found[0])
	rules, settings := filepath.Join(opts.Folder, "rules.yaml"), filepath.Join(opts.Folder, "prometheus.yaml")
	content := fmt.Sprintf(`
global: {scrape_interval: %[1]s, scrape_timeout: %[1]s, evaluation_interval: %[1]s}
rule_files: [%[2]q]
scrape_configs:
  - job_name: inner
    static_configs: [{targets: ["%[3]s"]}]
`, interval, rules, strings.Join(opts.Targets, `", "`))
	if err := errors.Join(os.WriteFile(rules, opts.Rules, 0o600), os.WriteFile(settings, []byte(content), 0o600)); err != nil {
		return nil, err
	}
	started, err := process.Start(process.Spec{
		Name: "prometheus", Path: program, Dir: opts.Folder, Env: os.Environ(), LogFile: filepath.Join(opts.Folder, "prometheus.log"),
		Args: []string{"--config.file=" + settings, "--storage.tsdb.path=" + filepath.Join(opts.Folder, "data"),
			"--web.listen-address=" + address},
	})
	if err != nil {
		return nil, err
	}
	s := &Server{process: started, url: "http://" + address}
	err = started.Await(ctx, 100*time.Millisecond, func(ctx context.Context) error {
		_, err := s.get(ctx, "/-/ready", nil)
		return err
	})
	if err != nil {
		started.Kill()
		return nil, err
	}
	return s, nil
}

// Close ends it.
func (s *Server) Close() { s.process.Kill() }

// Sample is one element of a query's result.
type Sample struct {
	Metric map[string]string `json:"metric"`
	// Value is a Unix time and a number as text.
	Value [2]any `json:"value"`
}

// Query returns the result of a query whose value is a vector.
func (s *Server) Query(ctx context.Context, query string) ([]Sample, error) {
	body, err := s.get(ctx, "/api/v1/query", url.Values{"query": {query}})
	if err != nil {
		return nil, err
	}
	var answer struct {
		Data struct {
			Result []Sample `json:"result"`
		} `json:"data"`
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return nil, fmt.Errorf("%s: %w", query, err)
	}
	return answer.Data.Result, nil
}

func (s *Server) get(ctx context.Context, path string, values url.Values) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url+path+"?"+values.Encode(), nil)
	if err != nil {
		return nil, err
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer func() { _ = answer.Body.Close() }()
	body, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: status %d: %s", path, answer.StatusCode, body)
	}
	return body, err
}

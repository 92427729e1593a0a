package main

import (
	"context"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.yaml.in/yaml/v3"

	"app238.com/inner/app/kube"
	platform "app238.com/inner/app/status"
	"app238.com/inner/test/testdatabase"
)

// replica is a fake Inner Gateway with this answer of /readyz.
func replica(t *testing.T, status int, answer string) (url string) {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/readyz" {
			status = http.StatusNotFound
		}
		w.WriteHeader(status)
		_, _ = w.Write([]byte(answer))
	}))
	t.Cleanup(server.Close)
	return server.URL
}

func (p *program) status(t *testing.T, args ...string) (platform.PlatformStatus, error) {
	t.Helper()
	kubeconfig := os.Getenv("INNER_TEST_KUBECONFIG")
	require.NotEmpty(t, kubeconfig, "run the tests with make test")
	out, err := p.run(t, append([]string{"status", "-o", "json", "-k", kubeconfig}, args...)...)
	var report platform.PlatformStatus
	require.NoError(t, json.Unmarshal([]byte(out), &report), "%s\n%v", out, err)
	return report, err
}

// append adds settings to the configuration.
func (p *program) append(t *testing.T, content string) {
	t.Helper()
	settings, err := os.OpenFile(p.config, os.O_APPEND|os.O_WRONLY, 0o600)
	require.NoError(t, err)
	_, err = settings.WriteString(content)
	require.NoError(t, errors.Join(err, settings.Close()))
}

// lead wins the controller's leader election for a worker namespace of its own.
func (p *program) lead(t *testing.T) {
	t.Helper()
	suffix := strings.ToLower(rand.Text()[:8])
	p.db.Config.Kubernetes.Kubeconfig = os.Getenv("INNER_TEST_KUBECONFIG")
	p.db.Config.Kubernetes.Namespaces.Worker = "worker-" + suffix
	p.append(t, fmt.Sprintf("kubernetes: {namespaces: {worker: worker-%s}}\n", suffix))
	clients, err := kube.NewClients(p.db.Config)
	require.NoError(t, err)
	election, err := kube.NewElection(p.db.Config, clients, zap.NewNop())
	require.NoError(t, err)
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	leading, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		election.Run(ctx, ctx, func(term context.Context) {
			close(leading)
			<-term.Done()
		})
	}()
	t.Cleanup(func() {
		stop()
		<-ended
	})
	<-leading
}

func component(t *testing.T, report platform.PlatformStatus, name string) platform.ComponentStatus {
	t.Helper()
	for _, p := range report.Components {
		if p.Name == name {
			return p
		}
	}
	t.Fatalf("no component %s in %+v", name, report)
	return platform.ComponentStatus{}
}

func TestStatusIsOKWhenEverythingRuns(t *testing.T) {
	t.Parallel()
	p := setup(t)
	// Alive for as long as the test takes.
	_, err := p.db.ExecContext(t.Context(),
		`INSERT INTO inner_processes (id, host, version, heartbeat_at)
		VALUES ('p1', 'host-1', 'v1', LOCALTIMESTAMP + INTERVAL '1 hour')`)
	require.NoError(t, err)
	slow := p.insert(t, "x", "pending", "{}")
	_, err = p.db.ExecContext(t.Context(), `UPDATE console_tasks SET lane = 'slow', created_at = LOCALTIMESTAMP - INTERVAL '1 hour'
		WHERE id = $1`, slow)
	require.NoError(t, err)
	p.lead(t)
	url := replica(t, http.StatusOK, `{"status":"ready","checks":{"database":"ok","controller":"leader"},"failing":[]}`)
	report, err := p.status(t, "--url", url)
	require.NoError(t, err)
	require.Equal(t, platform.OK, report.Condition)
	require.Equal(t, "database", report.Components[0].Name, "dependencies of all others come first")
	require.Contains(t, component(t, report, "database").Text, "took a write in")
	require.Equal(t, "no custom domains", component(t, report, "domains").Text)
	require.Contains(t, component(t, report, "replicas").Text, "1 alive")
	require.Equal(t, "1 pending, 0 processing, 0 waiting", component(t, report, "queue").Text)
	require.Contains(t, component(t, report, "workers").Text, "WorkerApps")
	require.Contains(t, component(t, report, "rdb engine").Text, "not configured")
	require.Contains(t, component(t, report, "kv engine").Text, "not configured")
	host, err := os.Hostname()
	require.NoError(t, err)
	require.Equal(t, platform.Detail{Name: "leader", Value: host}, component(t, report, "workers").Details[0])
	require.Equal(t, []platform.Detail{{Name: "controller", Value: "leader"}, {Name: "database", Value: "ok"}},
		component(t, report, "server").Details)

	out, err := p.run(t, "status", "--url", url, "-k", os.Getenv("INNER_TEST_KUBECONFIG"))
	require.NoError(t, err)
	require.Regexp(t, `(?m)^replicas +ok +1 alive\n  host-1 +v1, 0 tasks claimed`, out)
	require.NotContains(t, out, "\x1b")
	out, err = p.run(t, "status", "--url", url, "-o", "yaml", "-k", os.Getenv("INNER_TEST_KUBECONFIG"))
	require.NoError(t, err)
	var fromYAML platform.PlatformStatus
	require.NoError(t, yaml.Unmarshal([]byte(out), &fromYAML))
	require.Equal(t, platform.OK, fromYAML.Condition)
	require.Contains(t, out, "components:\n  - name: database\n")
}

func TestStatusTrustsConfiguredCertificate(t *testing.T) {
	t.Parallel()
	p := setup(t)
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(`{"status":"ready","checks":{"database":"ok"},"failing":[]}`))
	}))
	t.Cleanup(server.Close)
	folder := t.TempDir()
	certificate, key := filepath.Join(folder, "tls.crt"), filepath.Join(folder, "tls.key")
	secret, err := x509.MarshalPKCS8PrivateKey(server.TLS.Certificates[0].PrivateKey)
	require.NoError(t, err)
	require.NoError(t,
		os.WriteFile(certificate, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}), 0o600))
	require.NoError(t, os.WriteFile(key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}), 0o600))
	address := server.Listener.Addr().String()

	report, _ := p.status(t, "-l", address, "--url", server.URL)
	require.Equal(t, platform.Down, component(t, report, "server").Condition, "an unknown certificate")
	p.append(t, fmt.Sprintf("http: {tls: {certificate: %q, key: %q}}\n", certificate, key))
	report, _ = p.status(t, "-l", address)
	require.Equal(t, platform.OK, component(t, report, "server").Condition, "%+v", report)
	require.Equal(t, "https://"+address+" is ready", component(t, report, "server").Text)
}

func TestStatusNamesDegradedComponents(t *testing.T) {
	t.Parallel()
	p := setup(t)
	_, err := p.db.ExecContext(t.Context(),
		`INSERT INTO inner_processes (id, host, heartbeat_at) VALUES ('p1', 'host-1', LOCALTIMESTAMP - INTERVAL '1 hour')`)
	require.NoError(t, err)
	id := p.insert(t, "x", "pending", "{}")
	_, err = p.db.ExecContext(t.Context(), `UPDATE console_tasks SET created_at = LOCALTIMESTAMP - INTERVAL '1 hour' WHERE id = $1`,
		id)
	require.NoError(t, err)
	report, err := p.status(t, "--url",
		replica(t, http.StatusServiceUnavailable, `{"checks":{"rdb":"does not answer"},"failing":["rdb"]}`),
		"--url", replica(t, http.StatusOK, `something else`), "--url", "http://127.0.0.1:1",
		"--url", replica(t, http.StatusOK, `{"checks":{"kv engine":"does not answer"},"failing":[],"degraded":["kv engine"]}`))
	require.Equal(t, exitDegraded, exitStatus(err))
	require.Equal(t, platform.Down, report.Condition)
	require.Equal(t, platform.Down, component(t, report, "replicas").Condition, "the only process has an old heartbeat")
	require.Equal(t, platform.Degraded, component(t, report, "queue").Condition)
	servers := report.Components[len(report.Components)-4:]
	require.Equal(t, platform.Degraded, servers[0].Condition)
	require.Contains(t, servers[0].Text, "is not ready: rdb")
	require.Contains(t, servers[1].Text, "not of an Inner Gateway")
	require.Contains(t, servers[2].Text, "no Inner Gateway answers")
	require.Equal(t, platform.Degraded, servers[3].Condition)
	require.Contains(t, servers[3].Text, "is ready; degraded: kv engine")
}

func TestStatusOfUnreachableDatabaseHidesPassword(t *testing.T) {
	t.Parallel()
	out, err := execute(t, "status", "-o", "json", "-k", os.Getenv("INNER_TEST_KUBECONFIG"), "-d",
		"postgres://u:hunter2@127.0.0.1:1/d", "--url", "http://127.0.0.1:1")
	require.Equal(t, exitDegraded, exitStatus(err), err)
	require.NotContains(t, out, "hunter2")
	var report platform.PlatformStatus
	require.NoError(t, json.Unmarshal([]byte(out), &report))
	require.Equal(t, platform.Down, component(t, report, "database").Condition)
	require.Equal(t, platform.OK, component(t, report, "kubernetes").Condition)
}

func TestStatusNamesReadOnlyDatabase(t *testing.T) {
	t.Parallel()
	testdatabase.PostgreSQLOnly(t, "its setting")
	p := setup(t)
	var name string
	require.NoError(t, p.db.QueryRowContext(t.Context(), `SELECT current_database()`).Scan(&name))
	_, err := p.db.ExecContext(t.Context(), `ALTER DATABASE `+name+` SET default_transaction_read_only = on`)
	require.NoError(t, err)
	report, err := p.status(t)
	require.Equal(t, exitDegraded, exitStatus(err))
	require.Equal(t, platform.Down, component(t, report, "database").Condition)
	require.Contains(t, component(t, report, "database").Text, "takes no writes: it is a standby, or set to read-only")
}

func TestVersionIsAFlagToo(t *testing.T) {
	t.Parallel()
	flag, err := execute(t, "--version")
	require.NoError(t, err)
	require.Regexp(t, `^inner \S+ \(go1\.[^)]+\)\n$`, flag)
	command, err := execute(t, "version")
	require.NoError(t, err)
	require.Equal(t, command, flag)
}

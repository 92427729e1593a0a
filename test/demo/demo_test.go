package main

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"app238.com/inner/app/kube"
	"app238.com/inner/test/guide"
	"app238.com/inner/test/testdatabase"
)

const (
	// envSelf makes the test program the demonstration.
	envSelf = "INNER_DEMO_SELF"
	// timeout is more than a demonstration takes on a busy machine that has to build Inner first.
	timeout = 10 * time.Minute
)

func TestMain(m *testing.M) {
	if os.Getenv(envSelf) != "" {
		os.Exit(run(os.Args[1:]))
	}
	// The first build may take longer than a demonstration may.
	ctx, cancel := context.WithTimeout(context.Background(), 25*time.Minute)
	_, err := goCommand(ctx, "", "build", "-buildvcs=false", "-o", os.DevNull, modulePath+"/cmd/inner")
	cancel()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// stage is where a demonstration is played: a database and namespaces of its own on the servers of the test run.
type stage struct {
	clients   *kube.Clients
	database  *testdatabase.Database
	namespace string
	arguments []string
}

func setup(t *testing.T) *stage {
	t.Helper()
	kubeconfig := os.Getenv("INNER_TEST_KUBECONFIG")
	require.NotEmpty(t, kubeconfig, "INNER_TEST_KUBECONFIG is not set: run the tests with make test")
	s := &stage{database: testdatabase.NewEmpty(t), namespace: "demo-" + newID()}
	c := *s.database.Config
	c.Kubernetes.Kubeconfig = kubeconfig
	var err error
	s.clients, err = kube.NewClients(&c)
	require.NoError(t, err)
	t.Cleanup(func() { s.removeNamespaces(t) })
	s.arguments = []string{"-l", "127.0.0.1:0", "-k", kubeconfig, "-d", c.Database.DSN.Reveal()}
	return s
}

// removeNamespaces takes away what a demonstration leaves to its cluster.
func (s *stage) removeNamespaces(t *testing.T) {
	t.Helper()
	for _, name := range []string{s.namespace, s.namespace + "-in"} {
		err := s.clients.Typed.CoreV1().Namespaces().Delete(context.Background(), name, metav1.DeleteOptions{})
		require.NoError(t, err)
	}
}

// show is a demonstration as a process of its own.
type show struct {
	*exec.Cmd
	output *output
}

func (s *stage) begin(t *testing.T, arguments ...string) show {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), timeout)
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, self, append(s.arguments, arguments...)...)
	cmd.Env = append(os.Environ(), envSelf+"=yes",
		"INNER_KUBERNETES_NAMESPACES_WORKER="+s.namespace, "INNER_KUBERNETES_NAMESPACES_INGRESS="+s.namespace+"-in")
	out := &output{}
	cmd.Stdout, cmd.Stderr = out, out
	require.NoError(t, cmd.Start())
	return show{cmd, out}
}

// requireNothingLeft fails for objects that the demonstration should have removed.
func (s *stage) requireNothingLeft(t *testing.T, output string) {
	t.Helper()
	for _, table := range []string{"users", "workers", "worker_deploy_versions"} {
		var n sql.NullInt64
		require.NoError(t, s.database.QueryRowContext(t.Context(), `SELECT count(*) FROM `+table).Scan(&n))
		require.Zero(t, n.Int64, table)
	}
	ids := regexp.MustCompile(`deploys worker (\w+) of user (\w+),`).FindStringSubmatch(output)
	require.Len(t, ids, 3, output)
	names := s.database.Config.Kubernetes.Namespaces
	names.Worker, names.Ingress = s.namespace, s.namespace+"-in"
	for _, o := range objects(ids[1], ids[2], names) {
		found, err := o.read(t.Context(), s.clients)
		require.NoError(t, err)
		require.Nil(t, found, "%s %s", o.kind, o.name)
	}
}

func TestDemonstrationOnExternalServers(t *testing.T) {
	t.Parallel()
	s := setup(t)
	d := s.begin(t, "--once", "--verbose")
	require.NoError(t, d.Wait(), d.output)
	text := d.output.String()
	require.Regexp(t, `worker \w+ is Running \(\d+\.\d s after the task was accepted\)`, text)
	// Not task 1: periodic jobs that are due at a start have numbers too.
	task := regexp.MustCompile(`200, accepted as (task \d+)`).FindStringSubmatch(text)
	require.NotNil(t, task, text)
	for _, shown := range []string{
		task[1] + " ", "row of version 1 ", "row of worker ", "WorkerApp ", "ConfigMap ", "Secret ",
		"1 of 1 ready", "routes to ", "serves ", "  inner | ",
	} {
		require.Contains(t, text, shown)
	}
	require.NotContains(t, text, "\x1b", "colour without a terminal")
	require.NotRegexp(t, `\bsk_`, text)
	s.requireNothingLeft(t, text)
}

func TestFailingWorkerFailsDemonstration(t *testing.T) {
	t.Parallel()
	s := setup(t)
	d := s.begin(t, "--once", "--image", "registry.example.com/fail/crash:1")
	require.Error(t, d.Wait())
	require.Equal(t, exitFailure, d.ProcessState.ExitCode(), d.output)
	text := d.output.String()
	require.Regexp(t, `failed: worker \w+ is not Running: its task ended as error: .*exit code 1`, text)
	s.requireNothingLeft(t, text)
}

func TestDemonstrationServesUntilInterrupted(t *testing.T) {
	t.Parallel()
	s := setup(t)
	d := s.begin(t)
	require.Eventually(t, func() bool { return strings.Contains(d.output.String(), "until interrupted") },
		timeout, 50*time.Millisecond, "%s", d.output)
	address := regexp.MustCompile(`Serving (\S+) until`).FindStringSubmatch(d.output.String())
	require.Len(t, address, 2)
	waiting, err := newAPI(address[1]).notReady(t.Context())
	require.NoError(t, err)
	require.Empty(t, waiting)
	ids := regexp.MustCompile(`deploys worker (\w+) of user (\w+),`).FindStringSubmatch(d.output.String())
	require.Len(t, ids, 3, d.output)
	own := strings.NewReplacer("localhost:9901", address[1], `"hello"`, `"`+ids[1]+`"`, `\"hello\"`, `\"`+ids[1]+`\"`,
		`"demo"`, `"`+ids[2]+`"`, "curl -s", "curl -sf")
	for _, script := range guide.Of(t, "../../docs/api.md") {
		answers, err := guide.Run(t.Context(), t.TempDir(), own.Replace(script))
		require.NoError(t, err)
		require.Equal(t, 2, strings.Count(answers, `"message":"task accepted"`), answers)
	}

	require.NoError(t, d.Process.Signal(syscall.SIGHUP))
	require.NoError(t, d.Wait(), d.output)
	_, err = newAPI(address[1]).notReady(t.Context())
	require.Error(t, err, "Inner still serves")
	s.requireNothingLeft(t, d.output.String())
}

// output takes what the process writes while the test reads.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write appends.
func (o *output) Write(data []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(data)
}

// String returns all of it.
func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

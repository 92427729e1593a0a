package e2e_test

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"app238.com/inner/test/proxy"
	"app238.com/inner/test/stack/certificate"
	"app238.com/inner/test/testdatabase"
)

// night is a fault of the platform, and the one command that names it.
type night struct {
	name string
	// fault brings it about, on a platform with a running replica, and returns further arguments of the command.
	fault func(t *testing.T, w *fixture, i *inner, db *testdatabase.Database) []string
	// command is inner status, if it is empty; found must be in its output, whose lines may be wrapped.
	command []string
	found   string
}

// nights is the table "One command for each fault" of docs/operating.md.
var nights = []night{
	{name: "database stopped", found: `database down .{0,200}does not answer`,
		fault: func(_ *testing.T, w *fixture, _ *inner, _ *testdatabase.Database) []string {
			w.proxy.Cut()
			return nil
		}},
	{name: "database read-only", found: `database down .{0,200}takes no writes: it is a standby, or set to read-only`,
		fault: readOnly},
	{name: "disk full", found: `database down .{0,200}no disk space left`,
		fault: func(t *testing.T, _ *fixture, _ *inner, db *testdatabase.Database) []string {
			require.Error(t, testdatabase.SmallDisk(t, db)())
			return nil
		}},
	{name: "wrong password", found: `database down .{0,200}refuses the login`,
		fault: func(t *testing.T, w *fixture, _ *inner, _ *testdatabase.Database) []string {
			return []string{"-d", strings.Replace(w.proxy.DSN, w.proxy.Password(t), "mistyped", 1)}
		}},
	{name: "API server hung", found: `kubernetes down .{0,200}context deadline exceeded`, fault: hungAPIServer},
	{name: "expired certificate", found: `server down .{0,200}certificate has expired`, fault: expiredCertificate},
	{name: "engine mute", found: `rdb engine down does not answer in time`, fault: muteEngine},
	{name: "tasks behind a slow engine", found: `schema \d{4} pending`, fault: tasksBehindEngine},
	{name: "two versions", found: `replicas degraded .{0,200}1 of development, 1 of v0\.0\.9`,
		fault: func(t *testing.T, w *fixture, i *inner, _ *testdatabase.Database) []string {
			w.exec(t, `UPDATE inner_processes SET version = 'v0.0.9'`)
			w.start(t)
			w.exec(t, `UPDATE inner_processes SET started_at = started_at - INTERVAL '20 minutes'`)
			return []string{"--url", i.url}
		}},
	{name: "worker never ready", command: []string{"workers", "show", "w1"}, found: `Problem.*CrashLoopBackOff`,
		fault: func(t *testing.T, w *fixture, i *inner, _ *testdatabase.Database) []string {
			w.user(t, "u1", "sk_e2e")
			k := w.worker(t, "u1", "w1", "registry.test/fail/crash:1")
			i.accept(t, k.deployTask())
			w.awaitState(t, k, "error", "error")
			return nil
		}},
	{name: "domain never right", command: []string{"domains", "show", customDomain}, found: `Problem.*_combinator-verify`,
		fault: wrongDomain},
}

func TestOneCommandNamesEachFault(t *testing.T) {
	t.Parallel()
	for _, n := range nights {
		t.Run(n.name, func(t *testing.T) {
			t.Parallel()
			db := testdatabase.New(t)
			w := newFixtureIn(t, db)
			args := n.fault(t, w, w.start(t), db)
			command := n.command
			if command == nil {
				command = []string{"status"}
			}
			command = slices.Concat(command, args)
			began := time.Now()
			require.Eventually(t, func() bool {
				out, _ := w.command(t, command...).CombinedOutput()
				t.Logf("after %.1f s: inner %s\n%s", time.Since(began).Seconds(), strings.Join(command, " "), out)
				return regexp.MustCompile(n.found).MatchString(strings.Join(strings.Fields(string(out)), " "))
			}, 2*time.Minute, time.Second, n.found)
		})
	}
}

func readOnly(t *testing.T, w *fixture, _ *inner, _ *testdatabase.Database) []string {
	t.Helper()
	testdatabase.PostgreSQLOnly(t, "its setting")
	var name string
	require.NoError(t, w.db.QueryRowContext(t.Context(), `SELECT current_database()`).Scan(&name))
	w.exec(t, `ALTER DATABASE `+name+` SET default_transaction_read_only = on`)
	return nil
}

func hungAPIServer(t *testing.T, _ *fixture, _ *inner, _ *testdatabase.Database) []string {
	t.Helper()
	cluster := proxy.NewCluster(t, os.Getenv("INNER_TEST_KUBECONFIG"), proxy.ClusterOptions{})
	cluster.AnswerWith(func(_ http.ResponseWriter, r *http.Request) bool {
		<-r.Context().Done()
		return true
	})
	return []string{"-k", cluster.Kubeconfig(filepath.Join(t.TempDir(), "kubeconfig"))}
}

func expiredCertificate(t *testing.T, w *fixture, _ *inner, _ *testdatabase.Database) []string {
	t.Helper()
	public, private, err := certificate.SelfSignedUntil(time.Now().Add(-time.Hour), "inner")
	require.NoError(t, err)
	folder := t.TempDir()
	files := []string{filepath.Join(folder, "tls.crt"), filepath.Join(folder, "tls.key")}
	require.NoError(t, os.WriteFile(files[0], public, 0o600))
	require.NoError(t, os.WriteFile(files[1], private, 0o600))
	w.reconfigure(t, "http: {", fmt.Sprintf("http: {tls: {certificate: %q, key: %q}, ", files[0], files[1]))
	i := w.startAnyhow(t)
	return []string{"--url", strings.Replace(i.url, "http:", "https:", 1)}
}

// mute returns the address of a server that accepts connections and never answers.
func mute(t *testing.T) string {
	t.Helper()
	var listen net.ListenConfig
	listener, err := listen.Listen(t.Context(), "tcp", "127.0.0.1:0") // the kernel takes the connections
	require.NoError(t, err)
	t.Cleanup(func() { _ = listener.Close() })
	return "postgres://admin:x@" + listener.Addr().String() + "/engine?sslmode=disable"
}

func muteEngine(t *testing.T, w *fixture, _ *inner, _ *testdatabase.Database) []string {
	t.Helper()
	w.configure(t, fmt.Sprintf("combinator: {rdb: {dsn: %q}}\n", mute(t)))
	return nil
}

func tasksBehindEngine(t *testing.T, w *fixture, i *inner, db *testdatabase.Database) []string {
	t.Helper()
	muteEngine(t, w, i, db)
	i.stop()
	w.start(t)
	w.user(t, "u1", "sk_e2e")
	w.exec(t, `INSERT INTO combinator_resources (user_uid, resource_type, resource_id, created_at)
		SELECT 'u1', 'rdb', 'r' || n, LOCALTIMESTAMP FROM generate_series(1, 5050) n`)
	w.exec(t, `INSERT INTO console_tasks (task_type, task_info, lane, ordering_key)
		SELECT 'combinator.create_rdb', '{"user_uid":"u1","resource_id":"r' || n || '","name":"n"}', 'schema', 'resource/u1/r' || n
		FROM generate_series(1, 5050) n`)
	return nil
}

func wrongDomain(t *testing.T, w *fixture, _ *inner, _ *testdatabase.Database) []string {
	t.Helper()
	w.names(t, customDomain, "another value")
	w.start(t)
	w.user(t, "u1", "sk_e2e")
	w.addCustomDomain(t)
	return nil
}

func (w *fixture) exec(t *testing.T, statement string) {
	t.Helper()
	_, err := w.db.ExecContext(t.Context(), statement)
	require.NoError(t, err)
}

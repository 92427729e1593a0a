package app_test

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/fx"

	"app238.com/inner/app"
	"app238.com/inner/app/config"
	"app238.com/inner/app/server"
	"app238.com/inner/test/stack/certificate"
	"app238.com/inner/test/testdatabase"
)

// timeout is how long a test waits for an expected event on a busy machine.
const timeout = 60 * time.Second

// listening is a program in this process that serves, and a client of it.
type listening struct {
	description *description
	client      *http.Client
	url         string
}

// listen runs the modules behind the HTTP interface, and with all the whole program, until the test ends.
func (d *description) listen(t *testing.T, c *config.Config, all bool) *listening {
	t.Helper()
	c.HTTP.Listen = "127.0.0.1:0"
	c.Kubernetes.Kubeconfig = os.Getenv("INNER_TEST_KUBECONFIG")
	require.NotEmpty(t, c.Kubernetes.Kubeconfig, "INNER_TEST_KUBECONFIG is not set: run the tests with make test")
	// Authorization has separate tests.
	for kind := range c.HTTP.Access {
		c.HTTP.Access[kind] = config.Access{Mode: config.AccessNone}
	}
	c.Kubernetes.Namespaces.Worker, c.Kubernetes.Namespaces.Ingress = "openapi-worker", "openapi-ingress"
	var s *server.Server
	graph := app.Serve(c)
	if !all {
		graph = fx.Options(app.Base(c), app.Modules(), fx.Invoke(func(lc fx.Lifecycle, s *server.Server) {
			lc.Append(fx.StartStopHook(s.Start, s.Stop))
		}))
	}
	program := fx.New(graph, fx.Populate(&s), fx.NopLogger)
	require.NoError(t, program.Err())
	require.NoError(t, program.Start(t.Context()))
	transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		require.NoError(t, program.Stop(context.Background()))
	})
	l := &listening{description: d, client: &http.Client{Transport: transport, Timeout: timeout}, url: "http://" + s.Address()}
	if c.HTTP.TLS.Enabled() {
		l.url = "https://" + s.Address()
	}
	return l
}

// send sends a request whose response must match the description, and returns status and text.
func (l *listening) send(t *testing.T, method, path, body string, header ...string) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, l.url+path, strings.NewReader(body))
	require.NoError(t, err)
	r.Header.Set("Content-Type", "application/json")
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	answer, err := l.client.Do(r)
	require.NoError(t, err)
	defer func() { _ = answer.Body.Close() }()
	return answer.StatusCode, l.description.check(t, r, body, answer)
}

// request is a request that succeeds unless the setup prevents it.
type request struct{ method, path, body string }

var (
	registers = `{"task_type": "worker.delete_worker_cr", "task_info": {"worker_id": "gone", "user_uid": "nobody"}}`
	deploys   = `{"user_uid": "u1", "worker_id": "w1", "image": "registry.test/app:1", "port": 8080}`
	reports   = `{"user_id": "u1", "resource_id": "r1", "resource_type": "kv", "datachange": -1,
		"timespan_start": "2026-01-01T00:00:00Z", "timespan_end": "2026-01-01T01:00:00Z"}`
	requests = []request{
		{http.MethodPost, "/api/acceptTask", registers},
		{http.MethodPost, "/api/worker/deploy", deploys},
		{http.MethodGet, "/api/tasks/1", ""},
		{http.MethodGet, "/api/combinator/retrieveSecretByID?user_id=u1&resource_id=r1", ""},
		{http.MethodPost, "/api/combinator/reportUsage", "[" + reports + "]"},
		{http.MethodGet, "/health", ""},
		{http.MethodGet, "/metrics", ""},
		{http.MethodGet, "/openapi.yaml", ""},
		{http.MethodGet, "/healthz", ""},
		{http.MethodGet, "/readyz", ""},
	}
)

// needingDatabase are requests that need the database.
func needingDatabase() []request { return requests[:5] }

func TestResponsesMatchOpenAPIDescription(t *testing.T) {
	t.Parallel()
	d := newDescription(t)
	d.seeGranted(t)
	d.seeRefused(t)
	d.seeForbidden(t)
	d.seeFailing(t)
	d.seeUnavailableAndTooMany(t)
	for what := range d.documented {
		require.True(t, d.seen[what], "%s is documented and was not seen", what)
	}
}

func (d *description) seeGranted(t *testing.T) {
	t.Helper()
	db := testdatabase.New(t)
	_, err := db.ExecContext(t.Context(),
		`INSERT INTO users (uid, email, password_hash, secret_key) VALUES ('u1', 'u1@example.com', 'x', 'sk_x')`)
	require.NoError(t, err)
	_, err = db.ExecContext(t.Context(), `INSERT INTO workers (wid, user_uid, worker_name) VALUES ('w1', 'u1', 'a worker')`)
	require.NoError(t, err)
	_, err = db.ExecContext(t.Context(), `INSERT INTO combinator_resources (user_uid, resource_type, resource_id, status, msg)
		VALUES ('u1', 'kv', 'r1', 'active', '')`)
	require.NoError(t, err)
	l := d.listen(t, db.Config, true)
	for _, r := range requests {
		require.Eventually(t, func() bool {
			status, _ := l.send(t, r.method, r.path, r.body)
			return status == http.StatusOK
		}, timeout, 100*time.Millisecond, "%s %s is not granted", r.method, r.path)
	}
	text := `{"task_type": "worker.delete_worker_cr", "timestamp": 1767225600, "data": "eyJ3b3JrZXJfaWQiOiJ3IiwidXNlcl91aWQiOiJ1In0="}`
	status, answer := l.send(t, http.MethodPost, "/api/acceptTask", text)
	require.Equal(t, http.StatusOK, status, answer)
	status, answer = l.send(t, http.MethodPost, "/api/combinator/reportUsage", reports)
	require.Equal(t, http.StatusOK, status, answer)
	status, answer = l.send(t, http.MethodPost, "/api/worker/deploy", deploys, "Idempotency-Key", "once")
	require.Equal(t, http.StatusOK, status, answer)
	status, answer = l.send(t, http.MethodPost, "/api/worker/deploy", strings.Replace(deploys, "app:1", "app:2", 1),
		"Idempotency-Key", "once")
	require.Equal(t, http.StatusConflict, status, answer)
}

func (d *description) seeRefused(t *testing.T) {
	t.Helper()
	l := d.listen(t, testdatabase.New(t).Config, false)
	for _, path := range []string{"/api/acceptTask", "/api/worker/deploy", "/api/combinator/reportUsage"} {
		for body, want := range map[string]int{"{": 400, "{}": 400, `{"task_type": 7, "port": "x"}`: 400,
			strings.Repeat(" ", 4<<20+1): 413} {
			status, text := l.send(t, http.MethodPost, path, body)
			require.Equal(t, want, status, text)
		}
		status, text := l.send(t, http.MethodPost, path, "<x/>", "Content-Type", "text/xml")
		require.Equal(t, http.StatusUnsupportedMediaType, status, text)
	}
	for _, r := range []struct {
		request
		want int
	}{
		{request{http.MethodPost, "/api/worker/deploy", deploys}, http.StatusNotFound},
		{request{http.MethodGet, "/api/combinator/retrieveSecretByID?user_id=nobody", ""}, http.StatusNotFound},
		{request{http.MethodGet, "/api/combinator/retrieveSecretByID?user_id=-", ""}, http.StatusBadRequest},
		{request{http.MethodGet, "/api/tasks/99999", ""}, http.StatusNotFound},
		{request{http.MethodGet, "/api/tasks/many", ""}, http.StatusBadRequest},
	} {
		status, text := l.send(t, r.method, r.path, r.body)
		require.Equal(t, r.want, status, text)
	}
	status, _ := l.send(t, http.MethodPost, "/api/acceptTask", registers, "Idempotency-Key", "once")
	require.Equal(t, http.StatusOK, status)
	status, _ = l.send(t, http.MethodPost, "/api/acceptTask", strings.Replace(registers, "gone", "other", 1), "Idempotency-Key",
		"once")
	require.Equal(t, http.StatusConflict, status)
}

// seeForbidden sends requests without the required client certificate.
func (d *description) seeForbidden(t *testing.T) {
	t.Helper()
	c := testdatabase.NewEmpty(t).Config
	certificate, key, err := certificate.SelfSigned("inner")
	require.NoError(t, err)
	folder := t.TempDir()
	c.HTTP.TLS.Certificate, c.HTTP.TLS.Key = filepath.Join(folder, "crt"), filepath.Join(folder, "key")
	c.HTTP.TLS.ClientCA = c.HTTP.TLS.Certificate
	require.NoError(t, os.WriteFile(c.HTTP.TLS.Certificate, certificate, 0o600))
	require.NoError(t, os.WriteFile(c.HTTP.TLS.Key, key, 0o600))
	l := d.listen(t, c, false)
	for _, r := range requests {
		status, text := l.send(t, r.method, r.path, r.body)
		if r.path == "/healthz" || r.path == "/readyz" {
			require.NotEqual(t, http.StatusForbidden, status, text)
			continue
		}
		require.Equal(t, http.StatusForbidden, status, "%s: %s", r.path, text)
	}
}

// seeFailing sends requests while the tables are missing.
func (d *description) seeFailing(t *testing.T) {
	t.Helper()
	l := d.listen(t, testdatabase.NewEmpty(t).Config, false)
	for _, r := range needingDatabase() {
		status, text := l.send(t, r.method, r.path, r.body)
		require.Equal(t, http.StatusInternalServerError, status, "%s: %s", r.path, text)
		require.Contains(t, text, "(request ")
		require.NotContains(t, text, "relation")
	}
}

// seeUnavailableAndTooMany asks where the database takes connections and says nothing: what waits for it takes the only
// slot.
func (d *description) seeUnavailableAndTooMany(t *testing.T) {
	t.Helper()
	silent, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = silent.Close() })
	c := testdatabase.Config(t, "postgres://nobody@"+silent.Addr().String()+"/none?sslmode=disable")
	c.Database.ConnectTimeout, c.HTTP.RequestTimeout, c.HTTP.MaxRequests = 2*time.Second, 10*time.Second, 1
	l := d.listen(t, c, false)
	for _, r := range slices.Concat(needingDatabase(), []request{{http.MethodGet, "/health", ""}, {http.MethodGet, "/readyz", ""}}) {
		status, text := l.send(t, r.method, r.path, r.body)
		require.Equal(t, http.StatusServiceUnavailable, status, "%s: %s", r.path, text)
	}
	t.Cleanup(l.occupy(t))
	for _, r := range requests {
		if slices.Contains([]string{"/health", "/healthz", "/readyz", "/metrics"}, r.path) {
			status, text := l.send(t, r.method, r.path, r.body)
			require.NotEqual(t, http.StatusTooManyRequests, status, "%s: %s", r.path, text)
			continue
		}
		// An answer of another status held the slot itself. The next try comes late enough to find it taken again.
		require.Eventually(t, func() bool {
			status, _ := l.send(t, r.method, r.path, r.body)
			return status == http.StatusTooManyRequests
		}, timeout, 50*time.Millisecond, "%s is never refused", r.path)
	}
}

// occupy takes a slot whenever one is free, until the returned function is called.
func (l *listening) occupy(t *testing.T) (leave func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, l.url+"/api/tasks/1", nil)
	require.NoError(t, err)
	var occupier sync.WaitGroup
	occupier.Go(func() {
		for ctx.Err() == nil {
			if answer, err := l.client.Do(r); err == nil {
				_, _ = io.Copy(io.Discard, answer.Body)
				_ = answer.Body.Close()
			}
		}
	})
	return func() {
		cancel()
		occupier.Wait()
	}
}

func TestRoutesMatchOpenAPIDescription(t *testing.T) {
	t.Parallel()
	d := newDescription(t)
	described := map[string]bool{}
	for what := range d.documented {
		described[what[:strings.LastIndex(what, " ")]] = true
	}
	there := map[string]bool{}
	type in struct {
		fx.In
		Routes []server.Route `group:"routes"`
	}
	c := load(t)
	c.Kubernetes.Kubeconfig = os.Getenv("INNER_TEST_KUBECONFIG")
	require.NoError(t, fx.New(app.Base(c), app.Modules(), fx.NopLogger, fx.Invoke(func(i in) {
		for _, route := range i.Routes {
			there[route.Method+" "+route.Path] = true
		}
	})).Err())
	require.Equal(t, described, there)
}

package server_test

import (
	"cmp"
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"app238.com/inner/app/config"
	"app238.com/inner/app/server"
)

// timeout is how long a test waits for what has to come; machines are shared.
const timeout = 30 * time.Second

// instance is a listening server and a client of it.
type instance struct {
	server   *server.Server
	client   *http.Client
	url      string
	registry *prometheus.Registry
	// entered receives every request to /block, which ends with release.
	entered, release chan struct{}
}

// running starts a server until the test ends; what c leaves out is generous.
func running(t *testing.T, c config.HTTP, client ...*tls.Config) *instance {
	t.Helper()
	c.Listen = "127.0.0.1:0"
	c.BodyLimit = cmp.Or(c.BodyLimit, 1<<20)
	for _, d := range []*time.Duration{&c.RequestTimeout, &c.ReadHeaderTimeout, &c.ReadTimeout, &c.WriteTimeout, &c.ShutdownTimeout,
		&c.IdleTimeout} {
		*d = cmp.Or(*d, timeout)
	}
	i := &instance{registry: prometheus.NewRegistry(), entered: make(chan struct{}, 1000), release: make(chan struct{})}
	m, err := server.NewMetrics(i.registry)
	require.NoError(t, err)
	i.server = server.New(&config.Config{HTTP: c}, zap.NewNop(), m, i.routes())
	require.NoError(t, i.server.Start(t.Context()))
	t.Cleanup(func() { _ = i.server.Stop(context.Background()) })
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	i.url, i.client = "http://"+i.server.Address(), &http.Client{Transport: transport, Timeout: timeout}
	if len(client) > 0 {
		i.url, transport.TLSClientConfig = "https://"+i.server.Address(), client[0]
	}
	return i
}

func (i *instance) routes() []server.Route {
	here := func(w http.ResponseWriter, _ *http.Request) error { return server.WriteJSON(w, http.StatusOK, "here") }
	return []server.Route{
		{Method: http.MethodGet, Path: "/here", Handler: here},
		{Method: http.MethodGet, Path: "/probe", Handler: here, Probe: true},
		{Method: http.MethodPost, Path: "/here", Handler: func(w http.ResponseWriter, r *http.Request) error {
			n, err := io.Copy(io.Discard, r.Body)
			if err != nil {
				return err
			}
			return server.WriteJSON(w, http.StatusOK, n)
		}},
		{Method: http.MethodGet, Path: "/huge", Handler: func(w http.ResponseWriter, _ *http.Request) error {
			for piece := make([]byte, 1<<20); ; {
				if _, err := w.Write(piece); err != nil {
					return err
				}
			}
		}},
		{Method: http.MethodGet, Path: "/block", Handler: func(w http.ResponseWriter, r *http.Request) error {
			i.entered <- struct{}{}
			select {
			case <-i.release:
			case <-r.Context().Done():
				return r.Context().Err()
			}
			return server.WriteJSON(w, http.StatusOK, "done")
		}},
	}
}

// get returns the status of an answer.
func (i *instance) get(t *testing.T, path string) int {
	t.Helper()
	answer, err := i.client.Get(i.url + path)
	require.NoError(t, err)
	require.NoError(t, answer.Body.Close())
	return answer.StatusCode
}

// post returns the status, the header and the text of the answer to a body sent to /here.
func (i *instance) post(t *testing.T, body string) (int, http.Header, string) {
	t.Helper()
	answer, err := i.client.Post(i.url+"/here", "application/json", strings.NewReader(body))
	require.NoError(t, err)
	text, err := io.ReadAll(answer.Body)
	require.NoError(t, err)
	require.NoError(t, answer.Body.Close())
	return answer.StatusCode, answer.Header, string(text)
}

// dial opens a connection and sends text on it.
func (i *instance) dial(t *testing.T, text string) net.Conn {
	t.Helper()
	var d net.Dialer
	conn, err := d.DialContext(t.Context(), "tcp", i.server.Address())
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	_, err = conn.Write([]byte(text))
	require.NoError(t, err)
	return conn
}

// closed waits until the server has closed a connection, and returns what it had sent before.
func closed(t *testing.T, conn net.Conn) string {
	t.Helper()
	require.NoError(t, conn.SetReadDeadline(time.Now().Add(timeout)))
	text, err := io.ReadAll(conn)
	if ne, ok := err.(net.Error); ok && ne.Timeout() { //nolint:errorlint // it is never wrapped
		t.Fatal("the server keeps the connection")
	}
	return string(text)
}

// dropped is the number of connections closed to make room, by their state.
func (i *instance) dropped(t *testing.T, state string) float64 {
	t.Helper()
	for _, metric := range i.metric(t, "inner_http_connections_dropped_total") {
		if metric.GetLabel()[0].GetValue() == state {
			return metric.GetCounter().GetValue()
		}
	}
	return 0
}

// openConnections waits until n connections are open.
func (i *instance) openConnections(t *testing.T, n int) {
	t.Helper()
	require.Eventually(t, func() bool { return i.gauge(t, "inner_http_connections") == float64(n) },
		timeout, 5*time.Millisecond, "there are not %d connections", n)
}

func (i *instance) gauge(t *testing.T, name string) float64 {
	t.Helper()
	return i.metric(t, name)[0].GetGauge().GetValue()
}

func (i *instance) counter(t *testing.T, name string) float64 {
	t.Helper()
	return i.metric(t, name)[0].GetCounter().GetValue()
}

// metric returns all values of a metric; none where it has none yet.
func (i *instance) metric(t *testing.T, name string) []*dto.Metric {
	t.Helper()
	families, err := i.registry.Gather()
	require.NoError(t, err)
	for _, f := range families {
		if f.GetName() == name {
			return f.GetMetric()
		}
	}
	return nil
}

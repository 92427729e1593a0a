package tasks_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest"

	"app238.com/inner/app/config"
	"app238.com/inner/app/server"
	"app238.com/inner/app/version"
	"app238.com/inner/modules/tasks/internal/claims"
	"app238.com/inner/modules/tasks/internal/encryption"
	"app238.com/inner/modules/tasks/internal/httpapi"
	"app238.com/inner/modules/tasks/internal/metrics"
	"app238.com/inner/modules/tasks/internal/processor"
	"app238.com/inner/modules/tasks/internal/queue"
	"app238.com/inner/modules/tasks/internal/registry"
	"app238.com/inner/modules/tasks/internal/store"
	"app238.com/inner/modules/tasks/job"
	"app238.com/inner/test/testdatabase"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// echo is the payload of the tests' job.
type echo struct {
	Key  string `json:"key"`
	Text string `json:"text"`
}

func (n echo) Validate() error {
	if n.Text == "" {
		return errors.New("text: required")
	}
	return nil
}

func (n echo) OrderingKey() string { return n.Key }

// scriptedJob is a job that does what the test says and records its calls.
type scriptedJob struct {
	execute     func(ctx context.Context, task job.Task, n echo) error
	onDiscarded func(n echo) error

	mu        sync.Mutex
	started   []string
	ended     []string
	discarded []string
}

func (s *scriptedJob) Execute(ctx context.Context, task job.Task, n echo) error {
	s.mu.Lock()
	s.started = append(s.started, n.Text)
	s.mu.Unlock()
	var err error
	if s.execute != nil {
		err = s.execute(ctx, task, n)
	}
	s.mu.Lock()
	s.ended = append(s.ended, n.Text)
	s.mu.Unlock()
	return err
}

func (s *scriptedJob) OnDiscarded(_ context.Context, _ job.Task, n echo, reason string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.discarded = append(s.discarded, n.Text+": "+reason)
	if s.onDiscarded != nil {
		return s.onDiscarded(n)
	}
	return nil
}

func (s *scriptedJob) starts() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.started...)
}

// waiting returns an Execute that waits until gate is closed.
func waiting(gate <-chan struct{}) func(context.Context, job.Task, echo) error {
	return func(ctx context.Context, _ job.Task, _ echo) error {
		select {
		case <-gate:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// fixture is a queue on a database of its own, with one job type "test.echo".
type fixture struct {
	db       *testdatabase.Database
	config   *config.Config
	job      *scriptedJob
	registry *registry.Registry
	store    *store.Store
	// heartbeats is shared by all replicas.
	heartbeats *store.Heartbeats
	// queue and handler belong to a process that runs no tasks.
	queue   *queue.Queue
	handler http.Handler
	log     *zap.Logger
}

func setup(t testing.TB) *fixture {
	t.Helper()
	return setupOn(t, testdatabase.New(t))
}

// setupOn is setup on a migrated database.
func setupOn(t testing.TB, db *testdatabase.Database) *fixture {
	t.Helper()
	c := db.Config
	c.Tasks.PollInterval = 50 * time.Millisecond
	c.Tasks.HeartbeatInterval = 100 * time.Millisecond
	c.Tasks.TakeoverAfter = 2500 * time.Millisecond
	c.Tasks.RetryDelay = 10 * time.Millisecond
	b := &fixture{db: db, config: c, job: &scriptedJob{}, registry: registry.New(),
		log: zaptest.NewLogger(t, zaptest.Level(zap.ErrorLevel))}
	definition := job.Define(job.Spec{Type: "test.echo", Aliases: []string{"EchoJob"}, Attempts: 3}, b.job)
	require.NoError(t, b.registry.Add([]job.Definition{definition}))
	keyring, err := encryption.New(c)
	require.NoError(t, err)
	b.store = store.New(db.DB, db.Prepared, keyring, c)
	b.heartbeats = store.NewHeartbeats(db.Heartbeat, c, version.Development)
	b.queue = queue.New(b.registry, b.store, claims.NewTracker(c), newMetrics(t), nil)
	b.handler = server.NewHandler(c.HTTP, zap.NewNop(), httpapi.New(b.config, b.queue, b.store).Routes())
	return b
}

// start runs a processor until the test ends, or until the returned function is called.
func (b *fixture) start(t *testing.T) (stop func()) {
	t.Helper()
	_, stop = b.replica(t)
	return stop
}

// replica is start, and returns the tracker of the process.
func (b *fixture) replica(t *testing.T) (tracker *claims.Tracker, stop func()) {
	t.Helper()
	tracker = claims.NewTracker(b.config)
	p := processor.New(b.config, b.log, b.registry, b.store, b.heartbeats, tracker, newMetrics(t), nil)
	require.NoError(t, p.Start(t.Context()))
	stop = sync.OnceFunc(func() { require.NoError(t, p.Stop(context.Background())) })
	t.Cleanup(stop)
	return tracker, stop
}

// accept accepts a task of type "test.echo".
func (b *fixture) accept(t *testing.T, key, text string) int64 {
	t.Helper()
	id, err := b.queue.AcceptInfo(t.Context(), "test.echo", []byte(`{"key":"`+key+`","text":"`+text+`"}`), "")
	require.NoError(t, err)
	return id
}

// awaitStatus waits until a task has a status, and returns it.
func (b *fixture) awaitStatus(t *testing.T, id int64, want store.Status) store.View {
	t.Helper()
	var view store.View
	require.Eventually(t, func() bool {
		var err error
		view, err = b.store.View(t.Context(), id)
		require.NoError(t, err)
		return view.Status == want
	}, 20*time.Second, 10*time.Millisecond, "task %d does not become %s", id, want)
	return view
}

// request sends a request through the middleware.
func (b *fixture) request(method, path, body string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	b.handler.ServeHTTP(w, r)
	return w
}

func newMetrics(t testing.TB) *metrics.Metrics {
	t.Helper()
	m, err := metrics.New(prometheus.NewRegistry())
	require.NoError(t, err)
	return m
}

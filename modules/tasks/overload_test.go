package tasks_test

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"app238.com/inner/app/server"
	"app238.com/inner/modules/tasks/internal/claims"
	"app238.com/inner/modules/tasks/internal/httpapi"
	"app238.com/inner/modules/tasks/internal/queue"
	"app238.com/inner/modules/tasks/job"
	"app238.com/inner/test/testdatabase"
)

func TestOverloadAcceptsOrRefusesEachRequest(t *testing.T) {
	t.Parallel()
	b := setup(t)
	c := b.config.HTTP
	c.MaxRequests = 2
	b.handler = server.NewHandler(c, zap.NewNop(), httpapi.New(b.config, b.queue, b.store).Routes())
	var sent, granted, refused atomic.Int64
	var clients sync.WaitGroup
	for begin := time.Now(); refused.Load() == 0 || granted.Load() == 0; {
		require.Less(t, time.Since(begin), time.Minute, "granted %d, refused %d", granted.Load(), refused.Load())
		for range 50 {
			clients.Go(func() {
				w := b.request(http.MethodPost, "/api/acceptTask",
					fmt.Sprintf(`{"task_type":"test.echo","task_info":{"key":"k","text":"%d"}}`, sent.Add(1)))
				switch {
				case w.Code == http.StatusOK:
					granted.Add(1)
				case w.Code == http.StatusTooManyRequests && w.Header().Get("Retry-After") == "1":
					refused.Add(1)
				default:
					t.Errorf("%d %v: %s", w.Code, w.Header(), w.Body)
				}
			})
		}
		clients.Wait()
	}
	var rows int64
	require.NoError(t, b.db.QueryRowContext(t.Context(), `SELECT count(*) FROM console_tasks`).Scan(&rows))
	require.Equal(t, granted.Load(), rows, "a granted request was lost, or a refused one is a task")
}

// Accepts need little of a database in which claims and results are slow; the workers wait for it.
func TestOverloadedQueueAcceptsNoMoreThanItBegins(t *testing.T) {
	t.Parallel()
	testdatabase.PostgreSQLOnly(t, "what slows it down is not a statement of Inner's")
	b := setup(t)
	b.slowUpdates(t)
	tracker, _ := b.replica(t)
	accepted, stop := b.flood(t, tracker)
	defer stop()
	require.Eventually(t, tracker.Lane("default").Limited, timeout, time.Millisecond)
	const more = 2000
	before, begun := accepted.Load(), len(b.job.starts())
	require.Eventually(t, func() bool { return len(b.job.starts()) >= begun+more }, timeout, 10*time.Millisecond)
	require.Less(t, accepted.Load()-before, int64(more), "tasks wait longer and longer")
}

// slowUpdates makes claims and results slow.
func (b *fixture) slowUpdates(t *testing.T) {
	t.Helper()
	_, err := b.rawDB(t).ExecContext(t.Context(), `CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS
		$$ BEGIN PERFORM pg_sleep(0.004); RETURN NEW; END $$;
		CREATE TRIGGER slow BEFORE UPDATE ON console_tasks FOR EACH ROW EXECUTE FUNCTION slow()`)
	require.NoError(t, err)
}

// Of the requests for an overloaded lane at most half of the slots' number wait: further ones are refused.
func TestOverloadedLaneLeavesSlotsToOthers(t *testing.T) {
	t.Parallel()
	testdatabase.PostgreSQLOnly(t, "what slows it down is not a statement of Inner's")
	b := setup(t)
	b.slowUpdates(t)
	tracker, _ := b.replica(t)
	b.config.HTTP.MaxRequests = 20
	b.queue = queue.New(b.registry, b.store, tracker, newMetrics(t), nil)
	b.handler = server.NewHandler(b.config.HTTP, zap.NewNop(), httpapi.New(b.config, b.queue, b.store).Routes())
	id := b.accept(t, "", "shown")
	var sent, refused atomic.Int64
	stop := flood(4*b.config.HTTP.MaxRequests, func() bool {
		w := b.request(http.MethodPost, "/api/acceptTask",
			fmt.Sprintf(`{"task_type":"test.echo","task_info":{"key":"%[1]d","text":"%[1]d"}}`, sent.Add(1)))
		if w.Code == http.StatusTooManyRequests {
			refused.Add(1)
			<-time.After(50 * time.Millisecond)
		}
		return w.Code == http.StatusOK || w.Code == http.StatusTooManyRequests
	})
	defer stop()
	const enough = 50
	lane, answered, failed := tracker.Lane("default"), 0, 0
	require.Eventually(t, func() bool {
		if !lane.Limited() {
			return false
		}
		code := b.request(http.MethodGet, fmt.Sprintf("/api/tasks/%d", id), "").Code
		switch limited := lane.Limited(); {
		case limited && code == http.StatusOK:
			answered++
		case limited:
			failed++
		}
		return answered+failed >= enough
	}, timeout, 5*time.Millisecond)
	require.Less(t, failed, enough/5, "answered %d", answered)
	require.Positive(t, refused.Load())
}

// While what the jobs need is away they fail at once, and their workers write results one by one. Accepts do not slow them down.
func TestJobsThatFailAtOnceLimitNoAccepts(t *testing.T) {
	t.Parallel()
	for name, result := range map[string]error{"fails": job.NewRetry("away", nil), "parks": job.NewParked("waits")} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			b.config.Tasks.RetryDelay, b.config.Tasks.RetryDelayMax = time.Hour, time.Hour
			b.job.execute = func(context.Context, job.Task, echo) error { return result }
			tracker, _ := b.replica(t)
			_, stop := b.flood(t, tracker)
			defer stop()
			lane, samples, limited := tracker.Lane("default"), 0, 0
			require.Eventually(t, func() bool {
				samples++
				if lane.Limited() {
					limited++
				}
				return len(b.job.starts()) >= 5000
			}, timeout, 5*time.Millisecond)
			require.Less(t, limited, samples/5)
		})
	}
}

// New tasks are first to see a free slot, also while others wait in the database.
func TestNewTasksDoNotOvertakeWaitingOnesForEver(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.config.Tasks.Workers = 1
	waits := make(chan struct{})
	b.job.execute = func(ctx context.Context, task job.Task, n echo) error {
		if n.Text == "waits" {
			close(waits)
		}
		return taking(2*time.Millisecond)(ctx, task, n)
	}
	tracker, _ := b.replica(t)
	_, stop := b.flood(t, tracker)
	defer stop()
	lane := tracker.Lane("default")
	require.Eventually(t, lane.Backlog, timeout, time.Millisecond)
	b.accept(t, "", "waits") // in a process without workers
	begun := len(b.job.starts())
	for len(b.job.starts()) < begun+4000 {
		select {
		case <-waits:
			return
		case <-time.After(10 * time.Millisecond):
		}
	}
	t.Fatal("4000 tasks were run that were accepted later")
}

// flood accepts tasks in the process of a tracker, 16 at a time, until stop is called.
func (b *fixture) flood(t *testing.T, tracker *claims.Tracker) (accepted *atomic.Int64, stop func()) {
	t.Helper()
	q := queue.New(b.registry, b.store, tracker, newMetrics(t), nil)
	accepted = &atomic.Int64{}
	return accepted, flood(16, func() bool {
		n := accepted.Add(1)
		_, err := q.AcceptInfo(t.Context(), "test.echo", fmt.Appendf(nil, `{"key":"%d","text":"%d"}`, n, n), "")
		if err != nil {
			t.Error(err)
		}
		return err == nil
	})
}

// flood has so many clients send, each until send returns false or stop is called.
func flood(clients int, send func() bool) (stop func()) {
	var over atomic.Bool
	var group sync.WaitGroup
	for range clients {
		group.Go(func() {
			for again := true; again && !over.Load(); {
				again = send()
			}
		})
	}
	return func() {
		over.Store(true)
		group.Wait()
	}
}

// taking returns an Execute that takes so long.
func taking(length time.Duration) func(context.Context, job.Task, echo) error {
	return func(ctx context.Context, _ job.Task, _ echo) error {
		select {
		case <-time.After(length):
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

package tasks_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"app238.com/inner/app/database"
	"app238.com/inner/modules/tasks/internal/store"
	"app238.com/inner/modules/tasks/job"
	"app238.com/inner/test/stack/postgres"
	"app238.com/inner/test/testdatabase"
)

// setupSteppedClock is setup on a database server whose clock can be stepped.
func setupSteppedClock(t *testing.T) (*fixture, *postgres.Server) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	t.Cleanup(cancel)
	server, err := postgres.Start(ctx, postgres.Options{Clock: true})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, server.Close()) })
	require.NoError(t, server.CreateDatabase(ctx, "inner"))
	b := setupOn(t, testdatabase.At(t, server.DSN("inner")))
	require.NoError(t, database.Migrate(ctx, b.db.DB))
	return b, server
}

// overlaps records the tasks that ran in two places at once.
type overlaps struct {
	mu      sync.Mutex
	running map[int64]bool
	found   []int64
}

// begin records that a task runs, until the returned function is called.
func (d *overlaps) begin(id int64) (end func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.running == nil {
		d.running = map[int64]bool{}
	}
	if d.running[id] {
		d.found = append(d.found, id)
	}
	d.running[id] = true
	return func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.running[id] = false
	}
}

func (d *overlaps) tasks() []int64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.found
}

// The clock is stepped while one task runs, others wait behind it, one is delayed, one parked, and further tasks of
// their keys wait.
func TestDatabaseClockStepDelaysAndDuplicatesNothing(t *testing.T) {
	t.Parallel()
	for name, step := range map[string]time.Duration{"forward": time.Hour, "back": -time.Hour} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, server := setupSteppedClock(t)
			b.config.Tasks.TakeoverAfter = 3 * time.Second
			b.config.Tasks.ParkedRecheck = 20 * time.Second
			b.config.Tasks.RetryDelayMax = time.Second
			gate, overlapping := make(chan struct{}), &overlaps{}
			run := waiting(gate)
			b.job.execute = func(ctx context.Context, task job.Task, n echo) error {
				defer overlapping.begin(task.ID)()
				switch {
				case n.Text == "long":
					return run(ctx, task, n)
				case n.Text == "delayed" && task.Attempt == 1:
					return job.NewRetry("not yet", nil)
				case n.Text == "parked":
					select {
					case <-gate:
						return nil
					default:
						return job.NewParked("for the gate")
					}
				}
				return nil
			}
			b.start(t)
			b.start(t)
			long := b.accept(t, "long", "long")
			b.awaitStatus(t, long, store.Processing)
			parked := b.accept(t, "parked", "parked")
			b.awaitStatus(t, parked, store.Waiting)
			behind := b.accept(t, "long", "behind")
			all := []int64{long, behind, parked, b.accept(t, "off", "delayed"), b.accept(t, "off", "behind")}

			require.NoError(t, server.StepClock(step))
			for _, key := range []string{"long", "off", "new"} {
				all = append(all, b.accept(t, key, "after"))
			}
			b.awaitStatus(t, all[len(all)-1], store.Finished)
			<-time.After(2 * b.config.Tasks.TakeoverAfter) // an unjustified recovery would have happened by now
			require.Equal(t, store.Processing, b.awaitStatus(t, long, store.Processing).Status)
			close(gate)
			for _, id := range all {
				b.awaitStatus(t, id, store.Finished)
			}
			require.Empty(t, overlapping.tasks(), "tasks ran twice at once")
			require.Equal(t, 1, strings.Count(strings.Join(b.job.starts(), ","), "long"), "%s", b.job.starts())
		})
	}
}

package audit_test

import (
	"context"
	"database/sql"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/fx"
	"go.uber.org/goleak"
	"go.uber.org/zap"

	"app238.com/inner/app"
	"app238.com/inner/app/config"
	"app238.com/inner/ent"
	"app238.com/inner/modules/audit"
	"app238.com/inner/modules/audit/inventory"
	"app238.com/inner/modules/tasks"
	"app238.com/inner/modules/tasks/job"
	"app238.com/inner/test/testdatabase"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// timeout is how long a test waits for an expected event on a busy machine.
const timeout = time.Minute

// platform is a database and objects, for replicas that run tasks and audits.
type platform struct {
	*testdatabase.Database
	t       *testing.T
	objects *objects
}

func setup(t *testing.T, names ...string) *platform {
	t.Helper()
	p := &platform{Database: testdatabase.New(t), t: t, objects: newObjects(names...)}
	c := p.Config
	c.Audit.Interval = 1_000_000 * time.Hour // no tick ends during a test
	c.Audit.Mode, c.Audit.MaxDeletionShare, c.Audit.Grace = config.AuditDeletes, 1, time.Millisecond
	c.Tasks.HeartbeatInterval, c.Tasks.TakeoverAfter = 100*time.Millisecond, 2*time.Second
	c.Tasks.PollInterval, c.Tasks.ShutdownTimeout, c.Tasks.RetryDelay = 50*time.Millisecond, 10*time.Millisecond, 10*time.Millisecond
	c.Cron.CheckInterval = 20 * time.Millisecond
	p.exec(`INSERT INTO users (uid, email, password_hash, secret_key) VALUES ('u', 'e', '', '')`)
	return p
}

func (p *platform) exec(query string, args ...any) {
	p.t.Helper()
	_, err := p.ExecContext(p.t.Context(), query, args...)
	require.NoError(p.t, err)
}

func (p *platform) count(query string, args ...any) (n int) {
	p.t.Helper()
	require.NoError(p.t, p.QueryRowContext(p.t.Context(), query, args...).Scan(&n))
	return n
}

// replica is a graph like that of a process, on the same database.
type replica struct {
	queue job.Queue
	stop  func()
}

func (p *platform) start() replica {
	p.t.Helper()
	var r replica
	program := fx.New(
		app.Core(p.Config),
		fx.NopLogger,
		fx.Replace(zap.NewNop()),
		fx.Supply(p.objects),
		fx.Provide(
			inventory.AsInventories(func(t *objects, db *sql.DB, client *ent.Client, q job.Queue) []inventory.Inventory {
				return []inventory.Inventory{&fakeInventory{objects: t, db: db, ent: client, queue: q}}
			}),
			job.As(func(t *objects) job.Definition { return job.Define(job.Spec{Type: removalType}, remove{t}) }),
		),
		tasks.Module, audit.Module, tasks.Start, audit.Start,
		fx.Populate(&r.queue),
	)
	require.NoError(p.t, program.Start(p.t.Context()))
	r.stop = sync.OnceFunc(func() { require.NoError(p.t, program.Stop(context.Background())) })
	p.t.Cleanup(r.stop)
	return r
}

// payload is that of an audit.
type payload struct{}

// Validate implements job.Payload.
func (payload) Validate() error { return nil }

// OrderingKey implements job.Payload.
func (payload) OrderingKey() string { return "" }

// audit accepts an audit and returns its task.
func (r replica) audit(t *testing.T) int64 {
	t.Helper()
	id, err := r.queue.Accept(t.Context(), "auth.user_audit", payload{})
	require.NoError(t, err)
	return id
}

// await waits until n audits are in a state.
func (p *platform) await(n int, status string) {
	p.t.Helper()
	require.Eventually(p.t, func() bool {
		return p.count(`SELECT count(*) FROM console_tasks WHERE task_type = 'auth.user_audit' AND task_status = $1`, status) >= n
	}, timeout, 10*time.Millisecond, "%d audits do not become %s", n, status)
}

func names(n int) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprintf("object%02d", i)
	}
	return all
}

package audit_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"go.uber.org/zap"

	"app238.com/inner/app/config"
	"app238.com/inner/modules/audit/admin"
	"app238.com/inner/modules/audit/internal/examine"
	"app238.com/inner/modules/audit/internal/store"
	"app238.com/inner/modules/audit/internal/users"
	"app238.com/inner/modules/audit/inventory"
	"app238.com/inner/test/testdatabase"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// bundle is a database with one user, and a world of workers beside it.
type bundle struct {
	*testdatabase.Database
	t     *testing.T
	world *world
	// underWay are the ordering keys with an unfinished task.
	underWay []string
	// task is that of the latest audit.
	task int64
}

// setup returns a bundle whose audits delete.
func setup(t *testing.T) *bundle {
	t.Helper()
	db := testdatabase.New(t)
	db.Config.Audit.Mode = config.AuditDeletes
	db.Config.Audit.MaxDeletionShare = 1
	b := &bundle{Database: db, t: t, world: &world{db: db.DB, kind: "worker", things: map[string]inventory.Object{}}}
	b.users(1)
	return b
}

// Busy implements job.Busy.
func (b *bundle) ActiveKeys(context.Context, []string) ([]string, error) { return b.underWay, nil }

func (b *bundle) exec(query string, args ...any) {
	b.t.Helper()
	_, err := b.ExecContext(context.Background(), query, args...)
	require.NoError(b.t, err)
}

// users inserts n users: u1, u2, ….
func (b *bundle) users(n int) {
	b.t.Helper()
	b.exec(`INSERT INTO users (uid, email, password_hash, secret_key)
		SELECT 'u' || i, 'u' || i || '@example.com', '', '' FROM generate_series(1, $1::INTEGER) AS i`, n)
}

// worker inserts the row of a worker of u1 that is old enough to be at fault.
func (b *bundle) worker(wid, status string) {
	b.t.Helper()
	b.exec(`INSERT INTO workers (wid, user_uid, worker_name, status, created_at)
		VALUES ($1, 'u1', '', $2, LOCALTIMESTAMP - INTERVAL '1 day')`, wid, status)
}

// thing makes a worker of u1 exist.
func (b *bundle) thing(wids ...string) {
	for _, wid := range wids {
		b.world.put(object(wid, "u1"))
	}
}

// examiner returns one of the bundle's world and more, with the configuration as it is now.
func (b *bundle) examiner(more ...inventory.Inventory) *examine.Auditor {
	b.t.Helper()
	return b.only(append(more, b.world)...)
}

// only returns one of these inventories.
func (b *bundle) only(inventories ...inventory.Inventory) *examine.Auditor {
	b.t.Helper()
	e, err := examine.New(b.Config, store.New(b.DB, b.Config), users.New(b.DB, b.Config), b, zap.NewNop(), inventories)
	require.NoError(b.t, err)
	return e
}

// audit carries out the audit of a new task to its end.
func (b *bundle) audit() (admin.Audit, *found) {
	b.t.Helper()
	b.task++
	return b.again()
}

// again carries out the audit of the latest task once more.
func (b *bundle) again() (admin.Audit, *found) {
	b.t.Helper()
	f := &found{}
	a, err := b.examiner().Run(b.t.Context(), b.task, f)
	require.NoError(b.t, err)
	return a, f
}

// pass lets time pass for what was recorded.
func (b *bundle) pass(d time.Duration) {
	b.t.Helper()
	ago := fmt.Sprintf("- INTERVAL '%d second'", int(d.Seconds()))
	b.exec(`UPDATE inner_audits SET started_at = started_at ` + ago)
	b.exec(`UPDATE inner_audit_counts SET created_at = created_at ` + ago)
	b.exec(`UPDATE inner_audit_sightings SET first_seen_at = first_seen_at ` + ago + `, last_seen_at = last_seen_at ` + ago)
}

// day is longer than the grace.
const day = 25 * time.Hour

// found is a sink that keeps what it is told.
type found struct {
	mu       sync.Mutex
	users    []admin.User
	findings []admin.Finding
}

// User implements report.Sink.
func (f *found) User(u admin.User) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.users = append(f.users, u)
}

// Finding implements report.Sink.
func (f *found) Finding(one admin.Finding) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.findings = append(f.findings, one)
}

// actions returns what is done, by the id of what is found.
func (f *found) actions() map[string]admin.Action {
	actions := map[string]admin.Action{}
	for _, one := range f.findings {
		actions[one.ID] = one.Action
	}
	return actions
}

// why returns the words about a finding.
func (f *found) why(id string) string {
	for _, one := range f.findings {
		if one.ID == id {
			return one.Why
		}
	}
	return ""
}

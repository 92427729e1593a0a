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
	"app238.com/inner/app/database"
	"app238.com/inner/modules/audit/admin"
	"app238.com/inner/modules/audit/internal/auditor"
	"app238.com/inner/modules/audit/internal/store"
	"app238.com/inner/modules/audit/inventory"
	"app238.com/inner/test/testdatabase"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// bundle is a database with one user and a fake inventory of workers.
type bundle struct {
	*testdatabase.Database
	t         *testing.T
	inventory *fakeInventory
	// active are the ordering keys with an unfinished task.
	active []string
	// task is the id of the latest audit's task.
	task int64
}

// setup returns a bundle with audit.mode delete.
func setup(t *testing.T) *bundle {
	t.Helper()
	db := testdatabase.New(t)
	db.Config.Audit.Mode = config.AuditDeletes
	db.Config.Audit.MaxDeletionShare = 1
	b := &bundle{Database: db, t: t, inventory: &fakeInventory{db: db.DB, kind: "worker", objects: map[string]inventory.Object{}}}
	b.addUsers(1)
	return b
}

// ActiveKeys implements job.ActiveKeys.
func (b *bundle) ActiveKeys(context.Context, []string) ([]string, error) { return b.active, nil }

func (b *bundle) exec(query string, args ...any) {
	b.t.Helper()
	_, err := b.ExecContext(context.Background(), query, args...)
	require.NoError(b.t, err)
}

// addUsers inserts n users: u1, u2, ….
func (b *bundle) addUsers(n int) {
	b.t.Helper()
	b.exec(`INSERT INTO users (uid, email, password_hash, secret_key)
		SELECT 'u' || i, 'u' || i || '@example.com', '', '' FROM generate_series(1, $1::INTEGER) AS i`, n)
}

// addWorker inserts the row of a worker of u1 that is older than audit.minAge.
func (b *bundle) addWorker(wid, status string) {
	b.t.Helper()
	b.exec(`INSERT INTO workers (wid, user_uid, worker_name, status, created_at)
		VALUES ($1, 'u1', '', $2, LOCALTIMESTAMP - INTERVAL '1 day')`, wid, status)
}

// addObjects makes objects of workers of u1 exist.
func (b *bundle) addObjects(wids ...string) {
	for _, wid := range wids {
		b.inventory.add(object(wid, "u1"))
	}
}

// auditor returns an auditor of the fake inventory and more, with the current configuration.
func (b *bundle) auditor(more ...inventory.Inventory) *auditor.Auditor {
	b.t.Helper()
	return b.auditorOf(append(more, b.inventory)...)
}

// auditorOf returns an auditor of these inventories.
func (b *bundle) auditorOf(inventories ...inventory.Inventory) *auditor.Auditor {
	b.t.Helper()
	e, err := auditor.New(auditor.Params{
		Config: b.Config, Store: store.New(database.NewEnt(b.DB), b.DB, b.Config), Tasks: b, Log: zap.NewNop(),
		Inventories: inventories,
	})
	require.NoError(b.t, err)
	return e
}

// audit runs the audit of a new task.
func (b *bundle) audit() (admin.Audit, *recorder) {
	b.t.Helper()
	b.task++
	return b.rerun()
}

// rerun runs the audit of the latest task once more.
func (b *bundle) rerun() (admin.Audit, *recorder) {
	b.t.Helper()
	f := &recorder{}
	a, err := b.auditor().Run(b.t.Context(), b.task, f)
	require.NoError(b.t, err)
	return a, f
}

// elapse makes all recorded times older.
func (b *bundle) elapse(d time.Duration) {
	b.t.Helper()
	ago := fmt.Sprintf("- INTERVAL '%d second'", int(d.Seconds()))
	b.exec(`UPDATE inner_audits SET started_at = started_at ` + ago)
	b.exec(`UPDATE inner_audit_counts SET created_at = created_at ` + ago)
	b.exec(`UPDATE inner_audit_sightings SET first_seen_at = first_seen_at ` + ago + `, last_seen_at = last_seen_at ` + ago)
}

// day is longer than audit.grace.
const day = 25 * time.Hour

// recorder is a sink that keeps users and findings.
type recorder struct {
	mu       sync.Mutex
	users    []admin.User
	findings []admin.Finding
}

// User implements admin.Sink.
func (f *recorder) User(u admin.User) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.users = append(f.users, u)
}

// Finding implements admin.Sink.
func (f *recorder) Finding(one admin.Finding) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.findings = append(f.findings, one)
}

// actions returns the actions of the findings by id.
func (f *recorder) actions() map[string]admin.Action {
	actions := map[string]admin.Action{}
	for _, one := range f.findings {
		actions[one.ID] = one.Action
	}
	return actions
}

// reason returns the reason for the action on a finding.
func (f *recorder) reason(id string) string {
	for _, one := range f.findings {
		if one.ID == id {
			return one.Why
		}
	}
	return ""
}

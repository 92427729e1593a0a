package audit_test

import (
	"context"
	"fmt"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"app238.com/inner/modules/audit/admin"
	"app238.com/inner/modules/audit/inventory"
)

// countingSink counts users and findings.
type countingSink struct{ users, findings atomic.Int64 }

// User implements admin.Sink.
func (c *countingSink) User(admin.User) { c.users.Add(1) }

// Finding implements admin.Sink.
func (c *countingSink) Finding(admin.Finding) { c.findings.Add(1) }

// TestMemoryOfALargeAuditIsBounded measures the heap at every page of rows, when all objects are in memory, against the heap
// before the audit. The duration is logged and not checked.
func TestMemoryOfALargeAuditIsBounded(t *testing.T) {
	t.Parallel()
	const users, objects, most = 50_000, 20_000, 16 << 20
	b := setup(t)
	b.Config.Database.StatementTimeout = 5 * time.Minute
	b.exec(`DELETE FROM users`)
	b.addUsers(users)
	b.exec(`INSERT INTO workers (wid, user_uid, worker_name, status, created_at)
		SELECT 'w' || i, 'u' || i, '', 'active', LOCALTIMESTAMP - INTERVAL '1 day' FROM generate_series(1, $1::INTEGER) AS i`, objects)
	big := &generatedInventory{fakeInventory: b.inventory, objects: objects}
	big.kind = "generated"
	before, peak := heapInUse(), uint64(0)
	big.onPage = func(page []inventory.Desired) {
		if len(page) > 0 {
			peak = max(peak, heapInUse())
		}
	}
	sink := &countingSink{}
	begin := time.Now()
	a, err := b.auditorOf(big).Run(t.Context(), 1, sink)
	require.NoError(t, err)
	took := time.Since(begin)
	require.EqualValues(t, users, sink.users.Load())
	require.Equal(t, admin.Kind{Kind: "generated", Objects: objects, Rows: objects}, a.Kinds[0])
	require.Zero(t, sink.findings.Load())
	used := max(peak, before) - before
	require.Less(t, used, uint64(most))
	t.Logf("%d users, %d objects: %s, %.1f MB", users, objects, took.Round(time.Millisecond), float64(used)/(1<<20))
}

// heapInUse returns the bytes of live heap objects.
func heapInUse() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// generatedInventory generates its objects while it lists them and holds none in memory.
type generatedInventory struct {
	*fakeInventory
	objects int
}

// ListActual implements inventory.Inventory.
func (l *generatedInventory) ListActual(_ context.Context, page func([]inventory.Object) error) error {
	for i := 1; i <= l.objects; i++ {
		if err := page([]inventory.Object{object(fmt.Sprint("w", i), fmt.Sprint("u", i))}); err != nil {
			return err
		}
	}
	return nil
}

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

// counting is a sink that holds nothing.
type counting struct{ users, findings atomic.Int64 }

// User implements report.Sink.
func (c *counting) User(admin.User) { c.users.Add(1) }

// Finding implements report.Sink.
func (c *counting) Finding(admin.Finding) { c.findings.Add(1) }

// TestFiftyThousandUsersAndTwentyThousandThingsAreAuditedInBoundedMemory measures live memory at every page of the rows,
// when the whole world is in memory, against what there was before. The time is printed and not judged.
func TestFiftyThousandUsersAndTwentyThousandThingsAreAuditedInBoundedMemory(t *testing.T) {
	t.Parallel()
	const users, things, most = 50_000, 20_000, 16 << 20
	b := setup(t)
	b.Config.Database.StatementTimeout = 5 * time.Minute
	b.exec(`DELETE FROM users`)
	b.users(users)
	b.exec(`INSERT INTO workers (wid, user_uid, worker_name, status, created_at)
		SELECT 'w' || i, 'u' || i, '', 'active', LOCALTIMESTAMP - INTERVAL '1 day' FROM generate_series(1, $1::INTEGER) AS i`, things)
	big := &lean{world: b.world, things: things}
	big.kind = "lean"
	before, peak := live(), uint64(0)
	big.paged = func(page []inventory.Desired) {
		if len(page) > 0 {
			peak = max(peak, live())
		}
	}
	sink := &counting{}
	begin := time.Now()
	a, err := b.only(big).Run(t.Context(), 1, sink)
	require.NoError(t, err)
	took := time.Since(begin)
	require.EqualValues(t, users, sink.users.Load())
	require.Equal(t, admin.Kind{Kind: "lean", Things: things, Rows: things}, a.Kinds[0])
	require.Zero(t, sink.findings.Load())
	used := max(peak, before) - before
	require.Less(t, used, uint64(most))
	t.Logf("%d users, %d things: %s, %.1f MB", users, things, took.Round(time.Millisecond), float64(used)/(1<<20))
}

// live returns the bytes of the heap that are in use.
func live() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// lean is a world that makes its things up as it lists them: it holds none in memory.
type lean struct {
	*world
	things int
}

// World implements inventory.Inventory.
func (l *lean) ListActual(_ context.Context, page func([]inventory.Object) error) error {
	for i := 1; i <= l.things; i++ {
		if err := page([]inventory.Object{object(fmt.Sprint("w", i), fmt.Sprint("u", i))}); err != nil {
			return err
		}
	}
	return nil
}

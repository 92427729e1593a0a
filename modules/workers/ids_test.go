package workers_test

import (
	"fmt"
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"app238.com/inner/modules/tasks/job"
)

// versionWithID inserts a version of w1 with an id of the given size.
func (b *bundle) versionWithID(t *testing.T, id int64, image string) int {
	t.Helper()
	_, err := b.db.ExecContext(t.Context(), `INSERT INTO worker_deploy_versions (id, worker_id, image, port, status)
		VALUES ($1, $2, $3, 8080, 'loading')`, id, b.row, image)
	require.NoError(t, err)
	return int(id)
}

// setupWithRowIDs is setup on a database whose INTEGER has 64 bits.
func setupWithRowIDs(t *testing.T) *bundle {
	t.Helper()
	b := setup(t)
	b.exec(t, `ALTER TABLE workers ALTER COLUMN active_version_id TYPE BIGINT`)
	return b
}

func TestLargeIDsStayExact(t *testing.T) {
	t.Parallel()
	b := setupWithRowIDs(t)
	for _, id := range []int64{1<<53 + 1, math.MaxInt64} {
		b.versionWithID(t, id-1, "app:0")
		v := b.versionWithID(t, id, "app:1")
		p, err := b.jobs["worker.deploy_worker"].Prepare(fmt.Appendf(nil, `{"worker_id":"w1","user_uid":"u1","version_id":%d}`, id))
		require.NoError(t, err)
		require.Contains(t, string(p.Info), fmt.Sprintf(`"version_id":%d`, id))
		requireKind(t, job.Parked, b.deploy(t, id, v))
		require.Equal(t, fmt.Sprintf("app:1 version %d task %d", id, id), b.app(t))
		b.record(t, v, id, "")
		b.writeStatus(t, v, id, "Running", "")
		require.Equal(t, fmt.Sprintf("active %d", id), b.rows(t)[0])
		b.exec(t, `UPDATE workers SET status = 'loading'`)
		require.Zero(t, b.count(t, `SELECT count(*) FROM worker_deploy_versions WHERE status = 'loading'`),
			"the previous version is superseded")
		require.NoError(t, b.syncEnv(t, id), "the status holds both ids exactly")
	}
	for _, value := range []string{"1e18", "9223372036854775808", "1.5", `"9007199254740993"`} {
		_, err := b.jobs["worker.deploy_worker"].Prepare([]byte(`{"worker_id":"w1","user_uid":"u1","version_id":` + value + `}`))
		require.ErrorContains(t, err, "task_info.version_id: must be an integer", value)
	}
}

func TestTaskOrderDecidesBetweenCloseRowIDs(t *testing.T) {
	t.Parallel()
	const rowid = 1_180_000_000_000_000_000
	b := setupWithRowIDs(t)
	// Inserted by two nodes whose clocks differ: the second version has the lower id.
	second, first := b.versionWithID(t, rowid, "app:2"), b.versionWithID(t, rowid+40_000<<15, "app:1")
	b.queue.newest = fmt.Appendf(nil, `{"worker_id":"w1","user_uid":"u1","version_id":%d}`, second)
	require.Contains(t, requireKind(t, job.Superseded, b.deploy(t, 1, first)), fmt.Sprintf("superseded by version %d", second))
	b.queue.newest = nil
	b.exec(t, `UPDATE worker_deploy_versions SET status = 'loading', msg = ''`)
	requireKind(t, job.Parked, b.deploy(t, 1, first))
	requireKind(t, job.Parked, b.deploy(t, 2, second))
	require.Equal(t, fmt.Sprintf("app:2 version %d task 2", second), b.app(t))
	b.record(t, second, 2, "")
	require.Equal(t, []string{fmt.Sprintf("active %d", second), fmt.Sprintf("%d success", second),
		fmt.Sprintf("%d error superseded by version %d", first, second)}, b.rows(t))
	requireKind(t, job.Superseded, b.deploy(t, 1, first))
	// Seconds later the ids are in order again.
	third := b.versionWithID(t, rowid+200_000<<15, "app:3")
	requireKind(t, job.Parked, b.deploy(t, 3, third))
	requireKind(t, job.Superseded, b.deploy(t, 4, first))
}

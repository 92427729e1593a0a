package combinator_test

import (
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"app238.com/inner/app/config"
	"app238.com/inner/modules/combinator/internal/engine"
	"app238.com/inner/modules/combinator/internal/jobs"
	"app238.com/inner/modules/combinator/internal/metrics"
	"app238.com/inner/modules/combinator/internal/store"
	"app238.com/inner/modules/tasks/job"
	"app238.com/inner/test/testdatabase"
)

func TestUnusualIdentifiersGetDistinctNames(t *testing.T) {
	t.Parallel()
	b := setup(t)
	long := strings.Repeat("a", 64)
	pairs := [][2]string{{"a-b", "c"}, {"a", "b-c"}, {"a_b", "c"}, {"a", "b_c"}, {"A", "b"}, {long, long}, {long, long[:63]}}
	seen := map[string]bool{}
	for _, pair := range pairs {
		if !seen["user "+pair[0]] {
			b.user(pair[0], "sk_"+pair[0])
			seen["user "+pair[0]] = true
		}
		b.resource(pair[0], pair[1], "rdb")
		require.NoError(t, b.run(jobs.CreateRDBType, ref(pair[0], pair[1])))
	}
	schemas := column(t, b.admin(""), `SELECT nspname FROM pg_namespace WHERE substr(nspname, 1, 5) = 'user_'`)
	require.Len(t, schemas, len(pairs))
	require.NoError(t, b.run(jobs.DeleteRDBType, ref("a-b", "c")))
	require.Len(t, column(t, b.admin(""), `SELECT nspname FROM pg_namespace WHERE substr(nspname, 1, 5) = 'user_'`), len(pairs)-1)
	listed := 0
	require.NoError(t, b.rdb.List(t.Context(), func(found []engine.Found) error {
		listed += len(found)
		require.NotContains(t, found, engine.Found{Resource: engine.Resource{UserUID: "a-b", ResourceID: "c"}})
		return nil
	}))
	require.Equal(t, len(pairs)-1, listed)
}

func TestSizesAreMeasuredAndStored(t *testing.T) {
	t.Parallel()
	testdatabase.PostgreSQLOnly(t, "CockroachDB estimates sizes with a delay, and not without access to crdb_internal")
	for name, layout := range layouts() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t, layout)
			b.user("u1", "sk_one")
			b.resource("u1", "r1", "rdb")
			require.NoError(t, b.run(jobs.CreateRDBType, ref("u1", "r1")))
			_, err := b.login("u1", "sk_one").Exec(`CREATE TABLE ` + b.schema("u1", "r1") +
				`.t AS SELECT repeat('x', 1000) FROM generate_series(1, 1000)`)
			require.NoError(t, err)
			require.NoError(t, b.run(jobs.MeasureRDBType, map[string]string{}))
			sizes, err := b.store.Sizes(t.Context(), 5)
			require.NoError(t, err)
			require.Greater(t, sizes.Bytes, int64(1_000_000))
			require.Equal(t, store.Sizes{Bytes: sizes.Bytes,
				Largest: []store.ResourceSize{{UserUID: "u1", ResourceID: "r1", Bytes: sizes.Bytes}}}, sizes)
			b.remove("r1")
			require.NoError(t, b.run(jobs.MeasureRDBType, map[string]string{}))
			sizes, err = b.store.Sizes(t.Context(), 5)
			require.NoError(t, err)
			require.Zero(t, sizes, "a size of a deleted schema")
		})
	}
}

func TestSeriesOfSizesDoNotGrowWithUsers(t *testing.T) {
	t.Parallel()
	b := setup(t)
	_, err := b.db.ExecContext(t.Context(), `INSERT INTO combinator_sizes (user_uid, resource_id, bytes, measured_at)
SELECT 'u' || i::TEXT, 'r', i, LOCALTIMESTAMP FROM generate_series(1, 300) AS i`)
	require.NoError(t, err)
	registry := prometheus.NewRegistry()
	_, err = metrics.NewSizes(registry, b.store)
	require.NoError(t, err)
	families, err := registry.Gather()
	require.NoError(t, err)
	series := map[string]int{}
	for _, f := range families {
		series[f.GetName()] = len(f.GetMetric())
		if f.GetName() == "inner_combinator_rdb_bytes" {
			require.InDelta(t, 300*301/2, f.GetMetric()[0].GetGauge().GetValue(), 0)
		}
	}
	require.Equal(t, map[string]int{"inner_combinator_rdb_bytes": 1, "inner_combinator_rdb_largest_bytes": 10}, series)
}

func TestPlatformDatabaseIsRejectedAsEngine(t *testing.T) {
	t.Parallel()
	b := setup(t, func(c *config.Config) { c.Combinator.RDB.DSN = c.Database.DSN })
	b.user("u1", "sk_one")
	var refused *job.Error
	require.ErrorAs(t, b.run(jobs.RegisterUserType, map[string]string{"user_uid": "u1"}), &refused)
	require.Equal(t, job.Terminal, refused.Kind)
	require.ErrorIs(t, refused, engine.ErrInvalid)
}

func TestUnavailableEngineSnoozesTasks(t *testing.T) {
	t.Parallel()
	b := setup(t, func(c *config.Config) {
		c.Combinator.RDB.DSN = "postgres://nobody@127.0.0.1:1/none?sslmode=disable"
		c.Combinator.KV.PD = []string{"127.0.0.1:1"}
	})
	b.user("u1", "sk_one")
	b.resource("u1", "r1", "rdb")
	b.resource("u1", "r2", "kv")
	for kind, rid := range map[string]string{jobs.CreateRDBType: "r1", jobs.DeleteRDBType: "r1", jobs.CreateKVType: "r2",
		jobs.DeleteKVType: "r2"} {
		var waiting *job.Error
		require.ErrorAs(t, b.run(kind, ref("u1", rid)), &waiting)
		require.Equal(t, job.Snooze, waiting.Kind, kind)
		require.Contains(t, waiting.Text, "engine")
		require.Equal(t, "loading", b.status(rid))
	}
	require.ErrorContains(t, b.rdb.Ready(t.Context()), "does not answer")
	require.ErrorContains(t, b.kv.Ready(t.Context()), "does not answer")
}

func TestReadOnlyEngineSnoozesTasks(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.user("u1", "sk_one")
	b.resource("u1", "r1", "rdb")
	admin := b.connect("", nil) // this session stays writable
	name := column(t, admin, `SELECT current_database()`)[0]
	_, err := admin.ExecContext(t.Context(), `ALTER DATABASE `+name+` SET default_transaction_read_only = on`)
	require.NoError(t, err)
	for kind, payload := range map[string]any{
		jobs.CreateRDBType: ref("u1", "r1"), jobs.DeleteRDBType: ref("u1", "r2"),
		jobs.RegisterUserType: map[string]string{"user_uid": "u1"},
	} {
		var waiting *job.Error
		require.ErrorAs(t, b.run(kind, payload), &waiting, kind)
		require.Equal(t, job.Snooze, waiting.Kind, "%s: %v", kind, waiting)
	}
	require.Equal(t, "loading", b.status("r1"))
	require.ErrorContains(t, b.rdb.Ready(t.Context()), "takes no writes")
	_, err = admin.ExecContext(t.Context(), `ALTER DATABASE `+name+` SET default_transaction_read_only = off`)
	require.NoError(t, err)
	require.NoError(t, b.run(jobs.CreateRDBType, ref("u1", "r1")))
	require.Equal(t, "active", b.status("r1"))
}

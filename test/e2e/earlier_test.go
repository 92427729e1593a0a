package e2e_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/lib/pq"
	"github.com/stretchr/testify/require"

	"app238.com/inner/test/stack/build"
	"app238.com/inner/test/testdatabase"
)

// TestEarlierReleaseIsUpgradedAndBackDuringRollouts replaces the processes of the earlier release, which made the tables, the
// rows and the objects, by this one's and back, while tasks are accepted and rollouts are in progress: each of these ends as it
// would have ended. test/realnode shows what users' requests notice.
func TestEarlierReleaseIsUpgradedAndBackDuringRollouts(t *testing.T) {
	t.Parallel()
	earlier, err := build.EarlierRelease(t.Context(), build.Options{Log: t.Output()})
	if errors.Is(err, build.ErrNoHistory) {
		t.Skip(err)
	}
	require.NoError(t, err)
	w := newFixtureIn(t, testdatabase.NewEmpty(t))
	w.reconfigure(t, "platform: "+w.namespaces.Worker+"\n", "") // that release does not know it
	w.reconfigure(t, "drainTime: 0s", "drainTime: 15s")
	w.program = earlier
	w.migrate(t)
	w.user(t, "u1", "sk_earlier")
	b := newBalancer(t)
	running := []*inner{w.start(t), w.start(t)}
	for _, i := range running {
		b.add(i)
	}
	require.Eventually(t, func() bool { return b.ready() == 2 }, timeout, probeInterval)

	var workers []worker
	for i := range 3 {
		k := w.worker(t, "u1", fmt.Sprintf("moved%d", i), "registry.test/app:1", "max_replicas", "3")
		(&inner{url: b.URL}).accept(t, k.deployTask())
		workers = append(workers, k)
	}
	for _, k := range workers {
		w.awaitState(t, k, "active", "success")
	}
	for n, to := range []string{"", earlier} {
		running = w.replace(t, b, running, to, workers, n+2)
	}
}

// migrate runs the program's migration, as the init container does.
func (w *fixture) migrate(t *testing.T) {
	t.Helper()
	out, err := w.command(t, "migrate").CombinedOutput()
	require.NoError(t, err, string(out))
}

// replace rolls to another program, during rollouts of a new version of all workers: their pods become ready one after the other,
// after five seconds each, but those of the last worker crash.
func (w *fixture) replace(t *testing.T, b *balancer, old []*inner, to string, workers []worker, number int) (running []*inner) {
	t.Helper()
	load := b.load(1)
	var rolling []worker
	for i, k := range workers {
		image := "registry.test/slow/app"
		if i == len(workers)-1 {
			image = "registry.test/fail/crash"
		}
		k = w.newVersion(t, k, fmt.Sprintf("%s:%d", image, number))
		(&inner{url: b.URL}).accept(t, k.deployTask())
		rolling = append(rolling, k)
	}
	require.Eventually(t, func() bool {
		return w.count(t, `SELECT count(*) FROM console_tasks WHERE task_type = 'worker.deploy_worker' AND task_status = 'waiting'`) == len(rolling)
	}, timeout, probeInterval, "the rollouts do not begin")
	w.program = to
	w.migrate(t)
	require.Equal(t, len(rolling)-1,
		w.count(t, `SELECT count(*) FROM worker_deploy_versions WHERE status = 'loading' AND image LIKE 'registry.test/slow/%'`),
		"all rollouts but the one that fails are in progress")
	for _, i := range old {
		i.stop()
		running = append(running, w.start(t))
		b.add(running[len(running)-1])
		require.Eventually(t, func() bool { return b.ready() == len(old) }, timeout, probeInterval)
	}
	for _, k := range rolling[:len(rolling)-1] {
		w.awaitState(t, k, "active", "success")
	}
	failed := rolling[len(rolling)-1]
	require.Eventually(t, func() bool { return w.state(t, failed).version == "error" }, timeout, probeInterval,
		"the failing rollout")
	load.end()
	require.Empty(t, load.failures, "of %d requests", len(load.accepted)+len(load.failures))
	require.Greater(t, len(load.accepted), 50)
	var kept int
	require.NoError(t, w.db.QueryRowContext(t.Context(), `SELECT count(*) FROM console_tasks WHERE id = ANY($1)`,
		pq.Array(load.accepted)).Scan(&kept))
	require.Equal(t, len(load.accepted), kept)
	require.Eventually(t, func() bool {
		return w.count(t, `SELECT count(*) FROM console_tasks WHERE task_status IN ('pending', 'processing', 'waiting')`) == 0
	}, timeout, probeInterval, "every accepted task ends")
	return running
}

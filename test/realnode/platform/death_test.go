package platform_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"app238.com/inner/test/realnode/network"
)

// testDeath has containers end in the ways in which they do, and checks the rows.
func testDeath(t *testing.T, p *platform) {
	for name, test := range map[string]func(*testing.T, *platform){
		"OutOfMemory": testOutOfMemory, "Once": testDiesOnce, "AgainAndAgain": testDiesLater,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, p)
		})
	}
}

// testOutOfMemory deploys a version that needs more memory than it may have, over one that serves.
func testOutOfMemory(t *testing.T, p *platform) {
	k := p.worker(t, "hungry", 1)
	good := p.deploy(t, k, "1", 8080)
	p.awaitVersion(t, good, "success")
	message := p.awaitVersion(t, p.deploy(t, k, "hungry", 8080), "error")
	require.Contains(t, message, "OOMKilled")
	words, err := network.Visit(t.Context(), network.Visitor(asking, false), k.host(), "/")
	require.NoError(t, err)
	require.Equal(t, "one", words, "the version before serves on")
	status, active := p.status(t, k)
	require.Equal(t, "active", status)
	require.Equal(t, good, active)
}

// testDiesOnce kills the only process of a worker, which comes back by itself.
func testDiesOnce(t *testing.T, p *platform) {
	k := p.worker(t, "mortal", 1)
	p.awaitVersion(t, p.deploy(t, k, "1", 8080), "success")
	c := network.Visitor(asking, false)
	requireServed(t, k, "one")
	_, err := network.Visit(t.Context(), c, k.host(), "/die")
	require.Error(t, err)
	require.True(t, waitFor(t.Context(), func(ctx context.Context) bool {
		words, err := network.Visit(ctx, c, k.host(), "/")
		pods := p.pods(t, k)
		return err == nil && words == "one" && len(pods) == 1 && pods[0].Status.ContainerStatuses[0].RestartCount == 1
	}), "it does not come back")
	status, _ := p.status(t, k)
	require.Equal(t, "active", status)
}

// testDiesLater deploys, as the first, a version that serves for some seconds at a time.
func testDiesLater(t *testing.T, p *platform) {
	k := p.worker(t, "failing", 1)
	version := p.deploy(t, k, "dying", 8080)
	p.awaitVersion(t, version, "success")
	message := ""
	require.True(t, waitFor(t.Context(), func(ctx context.Context) bool {
		status, _ := p.status(t, k)
		require.NoError(t, p.db.QueryRowContext(ctx, `SELECT msg FROM worker_deploy_versions WHERE id = $1`, version).Scan(&message))
		return status == "error" && message != ""
	}), "that nothing serves does not show: %q", message)
	t.Log(message)
	require.Contains(t, message, "exit code 1")
	p.awaitVersion(t, p.deploy(t, k, "1", 8080), "success")
	require.True(t, waitFor(t.Context(), func(context.Context) bool {
		status, _ := p.status(t, k)
		return status == "active"
	}))
	requireServed(t, k, "one")
}

// status returns what the row of a worker says.
func (p *platform) status(t *testing.T, k worker) (status string, active int) {
	t.Helper()
	require.NoError(t,
		p.db.QueryRowContext(t.Context(), `SELECT status, coalesce(active_version_id, 0) FROM workers WHERE id = $1`, k.row).
			Scan(&status, &active))
	return status, active
}

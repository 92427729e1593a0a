package controller_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"k8s.io/client-go/tools/leaderelection"

	"app238.com/inner/app/config"
	"app238.com/inner/modules/controller/workerapp"
)

// takeoverTimeout is how long workers may be without a controller after the leader died.
const takeoverTimeout = 6 * time.Second

func (b *bundle) awaitRole(role string) {
	b.t.Helper()
	b.await("the role "+role, func() error {
		if now := b.running.Role(); !strings.HasPrefix(now, role) {
			return errors.New(now)
		}
		return b.running.Ready(b.ctx())
	})
}

func TestStandbyIsReadyAndWritesNothing(t *testing.T) {
	t.Parallel()
	leader := setup(t)
	leader.startAndSync()
	leader.awaitRole("leading")
	standby := leader.replica()
	standby.startAndSync()
	for i := range 5 {
		leader.deploy(spec(fmt.Sprintf("worker%d", i)), 1, 1)
	}
	for i := range 5 {
		leader.awaitPhase(fmt.Sprintf("w-worker%d-u1", i), workerapp.Running)
	}
	leader.waitForIdle()
	standby.awaitRole("standing by; leader: ")
	require.Empty(t, standby.proxy.writes())
	require.Len(t, leader.writes(), 5*writesForNew)
	require.Len(t, leader.recorder.recorded(), 5)
}

func TestStandbyTakesOverFromStoppedLeader(t *testing.T) {
	t.Parallel()
	leader := setup(t)
	leader.startAndSync()
	leader.awaitRole("leading")
	standby := leader.replica()
	standby.startAndSync()
	started := time.Now()
	leader.stop()
	standby.awaitRole("leading")
	require.Less(t, time.Since(started), leader.config.Controller.LeaderElection.LeaseDuration, "the lease was released")
}

func TestStandbyTakesOverFromKilledLeader(t *testing.T) {
	t.Parallel()
	leader := setup(t)
	leader.config.Controller.LeaderElection = config.LeaderElection{Lease: "controller", LeaseDuration: 5 * time.Second,
		RenewDeadline: 2 * time.Second, RetryPeriod: 200 * time.Millisecond} // the defaults
	election := leader.config.Controller.LeaderElection
	longest := election.LeaseDuration + time.Duration(float64(election.RetryPeriod)*(1+leaderelection.JitterFactor))
	require.Less(t, longest, takeoverTimeout, "the configured maximum, independent of the load of this machine")
	leader.startAndSync()
	leader.awaitRole("leading")
	name := leader.deploy(spec("abc12345"), 1, 1)
	leader.awaitPhase(name, workerapp.Running)
	standby := leader.replica()
	standby.startAndSync()
	leader.proxy.Close() // it can no longer reach the cluster, not even to release the lease
	configMap := leader.children(name)[0]
	require.NoError(t, leader.admin.Delete(leader.ctx(), configMap.resource, configMap.namespace, configMap.name, ""))
	standby.await("the standby repairs it", func() error {
		if now := standby.content(configMap); now == "not found" {
			return errors.New(now)
		}
		return nil
	})
	require.Contains(t, standby.running.Role(), "leading")
}

func TestLeaderWithoutLeaseWritesNothing(t *testing.T) {
	t.Parallel()
	loser := setup(t)
	loser.startAndSync()
	loser.awaitRole("leading")
	name := loser.deploy(spec("abc12345"), 1, 1)
	loser.awaitPhase(name, workerapp.Running)
	winner := loser.replica()
	winner.startAndSync()
	loser.proxy.setAnswer(func(w http.ResponseWriter, r *http.Request) bool {
		if !strings.Contains(r.URL.Path, "/leases") {
			return false
		}
		writeStatus(w, http.StatusInternalServerError)
		return true
	})
	winner.awaitRole("leading")
	written := len(loser.proxy.writes())
	loser.await("the loser is not ready", func() error {
		if loser.running.Ready(loser.ctx()) == nil {
			return errors.New("it is ready without knowing the leader")
		}
		return nil
	})
	for range 3 {
		configMap := loser.children(name)[0]
		require.NoError(t, loser.admin.Delete(loser.ctx(), configMap.resource, configMap.namespace, configMap.name, ""))
		winner.awaitWithin(repairTimeout, "the winner repairs it", func() error {
			if now := winner.content(configMap); now == "not found" {
				return errors.New(now)
			}
			return nil
		})
	}
	require.Len(t, loser.proxy.writes(), written)

	loser.proxy.setAnswer(nil)
	loser.awaitRole("standing by; leader: ")
	winner.stop()
	loser.awaitRole("leading")
	loser.deploy(spec("abc12345"), 2, 2)
	loser.awaitPhase(name, workerapp.Running)
}

// blockWatches blocks watches of WorkerApps until release is called, so that no events arrive.
func blockWatches() (answer func(w http.ResponseWriter, r *http.Request) bool, release func()) {
	released := make(chan struct{})
	answer = func(_ http.ResponseWriter, r *http.Request) bool {
		if !strings.HasSuffix(r.URL.Path, "/workerapps") {
			return false
		}
		select {
		case <-released:
			return false
		case <-r.Context().Done():
			return true
		}
	}
	return answer, sync.OnceFunc(func() { close(released) })
}

func TestNewLeaderWithStaleCacheRollsNothingBack(t *testing.T) {
	t.Parallel()
	for name, images := range map[string][3]string{
		"other images": {"registry.test/healthy:1", "registry.test/healthy:2", "registry.test/healthy:3"},
		// The references are equal: the version rolls the pods.
		"mutable images": {"registry.test/healthy", "registry.test/healthy", "registry.test/healthy"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			testTakeoverWithStaleCache(t, images)
		})
	}
}

func testTakeoverWithStaleCache(t *testing.T, images [3]string) {
	first := setup(t)
	first.startAndSync()
	first.awaitRole("leading")
	s := spec("abc12345")
	s.Image = images[0]
	name := first.deploy(s, 1, 1)
	first.awaitPhase(name, workerapp.Running)
	second := first.replica()
	second.startAndSync()
	answer, release := blockWatches()
	t.Cleanup(release)
	second.proxy.setAnswer(answer)
	second.proxy.Break()
	s.Image = images[1]
	first.deploy(s, 2, 2)
	first.awaitPhase(name, workerapp.Running)
	first.waitForIdle()
	second.await("the newer Deployment is detected", func() error {
		first.stop()
		if second.proxy.reads("/workerapps/"+name) == 0 {
			return errors.New("not yet")
		}
		return nil
	})
	require.Zero(t, perObject(second.proxy.writes())["deployments/"+name])
	require.Equal(t, 2, second.templates(name))
	release()
	s.Image = images[2]
	second.deploy(s, 3, 3)
	second.awaitPhase(name, workerapp.Running)
	require.Equal(t, 3, second.templates(name))
}

func TestMissingLeaseNamespaceFailsReadiness(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.config.Kubernetes.Namespaces.Control = "nowhere-to-be-found"
	b.start()
	b.await("readiness reports it", func() error {
		if err := b.running.Ready(b.ctx()); err == nil || err.Error() != "no process leads" {
			return errors.Join(errors.New("it does not report it"), err)
		}
		return nil
	})
	b.waitForElectionAttempts()
	require.Empty(t, b.proxy.writes())
}

// waitForElectionAttempts gives a controller that must not reconcile the time to do so.
func (b *bundle) waitForElectionAttempts() {
	b.t.Helper()
	name := b.deploy(spec("abc12345"), 1, 1)
	reads := b.proxy.reads("/leases/controller-" + b.worker())
	b.await("it tried to acquire the lease", func() error {
		if b.proxy.reads("/leases/controller-"+b.worker()) < reads+3 {
			return errors.New("not yet")
		}
		return nil
	})
	require.Equal(b.t, "not found", b.content(b.children(name)[3]))
}

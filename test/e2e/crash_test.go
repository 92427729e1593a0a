package e2e_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"app238.com/inner/modules/controller/workerapp"
)

func TestTwoHundredDeploysSurviveAKill(t *testing.T) {
	t.Parallel()
	w := newFixture(t)
	i := w.start(t)
	w.user(t, "u1", "sk_e2e")
	const deploys = 200
	var workers []worker
	for n := range deploys {
		k := w.worker(t, "u1", fmt.Sprintf("w%d", n), "registry.test/app:1")
		workers = append(workers, k)
		i.accept(t, k.deployTask())
	}
	require.Eventually(t, func() bool {
		return w.count(t, `SELECT count(*) FROM workers WHERE status = 'active'`) >= deploys/10
	}, timeout, 10*time.Millisecond)
	i.kill()
	ended := w.count(t, acceptedTasks+` AND task_status = 'finished'`)
	require.Less(t, ended, deploys, "the kill came after the end: the test shows nothing")
	t.Logf("killed with %d of %d tasks finished", ended, deploys)
	w.start(t)
	require.Eventually(t, func() bool {
		return w.count(t, acceptedTasks+` AND task_status = 'finished'`) == deploys
	}, 2*timeout, 100*time.Millisecond)
	for _, k := range workers {
		s := w.awaitState(t, k, "active", "success")
		require.EqualValues(t, k.version, s.active.Int64)
	}
	require.Equal(t, deploys, w.count(t, acceptedTasks))
	apps, err := w.clients.Dynamic.Resource(workerapp.Resource()).Namespace(w.namespaces.Worker).List(t.Context(),
		metav1.ListOptions{})
	require.NoError(t, err)
	require.Len(t, apps.Items, deploys)
	// None twice: a second rollout would have made a second ReplicaSet.
	sets, err := w.clients.Typed.AppsV1().ReplicaSets(w.namespaces.Worker).List(t.Context(), metav1.ListOptions{})
	require.NoError(t, err)
	require.Len(t, sets.Items, deploys)
}

func TestChangesDuringDowntimeAreReconciled(t *testing.T) {
	t.Parallel()
	w := newFixture(t)
	i := w.start(t)
	w.user(t, "u1", "sk_e2e")
	gone := w.worker(t, "u1", "gone", "registry.test/app:1")
	i.accept(t, gone.deployTask())
	w.awaitState(t, gone, "active", "success")
	slow := w.worker(t, "u1", "slow", "registry.test/slow/app:1")
	id := i.accept(t, slow.deployTask())
	require.Eventually(t, func() bool {
		d, err := w.clients.Typed.AppsV1().Deployments(w.namespaces.Worker).Get(t.Context(), slow.name(), metav1.GetOptions{})
		return err == nil && d.Status.ObservedGeneration > 0 && d.Status.ReadyReplicas == 0
	}, timeout, 10*time.Millisecond)
	i.kill()
	require.Equal(t, "loading", w.state(t, slow).version, "the rollout ended before the kill: the test shows nothing")
	require.NoError(t, w.clients.Delete(t.Context(), workerapp.Resource(), w.namespaces.Worker, gone.name(), ""))
	require.Eventually(t, func() bool {
		d, err := w.clients.Typed.AppsV1().Deployments(w.namespaces.Worker).Get(t.Context(), slow.name(), metav1.GetOptions{})
		return err == nil && d.Status.ReadyReplicas == 1
	}, timeout, 50*time.Millisecond)
	i = w.start(t)
	w.awaitState(t, slow, "active", "success")
	i.awaitTask(t, w, id, "finished")
	require.Eventually(t, func() bool {
		for _, object := range w.objects(t) {
			if object == "workerapps/"+gone.name() || object == "deployments/"+gone.name() || object == "services/"+gone.name() ||
				object == "services/"+gone.name()+"-ext" || object == "ingressroutes/"+gone.name() ||
				object == "secrets/"+gone.name()+"-secret" || object == "configmaps/"+gone.name()+"-env" {
				return false
			}
		}
		return true
	}, timeout, 100*time.Millisecond, "children of the deleted WorkerApp are left")
}

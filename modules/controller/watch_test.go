package controller_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"app238.com/inner/modules/controller/workerapp"
)

// expireOnce answers the next watch of each path with 410 Gone: its resourceVersion is too old.
func expireOnce() (answer func(w http.ResponseWriter, r *http.Request) bool, expired func() int) {
	var mu sync.Mutex
	seen := map[string]bool{}
	answer = func(w http.ResponseWriter, r *http.Request) bool {
		mu.Lock()
		defer mu.Unlock()
		if r.URL.Query().Get("watch") != "true" || seen[r.URL.Path] {
			return false
		}
		seen[r.URL.Path] = true
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusGone)
		_, _ = io.WriteString(w,
			`{"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "Expired", "code": 410, "message": "too old"}`)
		return true
	}
	return answer, func() int {
		mu.Lock()
		defer mu.Unlock()
		return len(seen)
	}
}

func TestChangesDuringBrokenWatchAreReconciled(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.startAndSync()
	const apps = 5
	for i := range apps {
		b.deploy(spec(fmt.Sprintf("worker%d", i)), 1, 1)
	}
	for i := range apps {
		b.awaitPhase(fmt.Sprintf("w-worker%d-u1", i), workerapp.Running)
	}
	b.waitForIdle()
	before := len(b.writes())
	answer, expired := expireOnce()
	b.proxy.setAnswer(answer)
	b.proxy.Break()
	lost, edited := b.children("w-worker1-u1")[0], b.children("w-worker2-u1")[3]
	desired := b.content(edited)
	require.NoError(t, b.admin.Delete(b.ctx(), lost.resource, lost.namespace, lost.name, ""))
	b.patchAt(edited, `{"spec": {"replicas": 4}}`)
	b.await("both are repaired", func() error {
		if b.content(lost) == "not found" || b.content(edited) != desired {
			return errors.New("not yet")
		}
		return nil
	})
	b.await("every watch has to list again", func() error {
		if n := expired(); n < 10 {
			return fmt.Errorf("%d watches", n)
		}
		return nil
	})
	b.waitForIdle()
	repaired := repairWrites(b.writes()[before:])
	// A new watch may show the edited Deployment again after the repair, and each conflict with the Deployment's own controller,
	// which scales it meanwhile, costs two writes.
	require.LessOrEqual(t, repaired["deployments/w-worker2-u1"], 6)
	delete(repaired, "deployments/w-worker2-u1")
	require.Equal(t, map[string]int{"configmaps/w-worker1-u1-env": 1}, repaired, "a list without changes causes no write")
}

// repairWrites counts the writes of objects without the status of the repaired Deployment's worker, which follows its pods.
func repairWrites(writes []string) map[string]int {
	count := perObject(writes)
	delete(count, "w-worker2-u1/status")
	return count
}

func TestHundredsOfDeletedChildrenAreRecreated(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.startAndSync()
	const apps = 30
	for i := range apps {
		b.deploy(spec(fmt.Sprintf("worker%d", i)), 1, 1)
	}
	for i := range apps {
		b.awaitPhase(fmt.Sprintf("w-worker%d-u1", i), workerapp.Running)
	}
	// There are duplicates where a status write failed after its outcome was recorded.
	outcomes := b.recorder.recorded()
	require.Len(t, distinct(outcomes), apps)
	uids := map[childRef]string{}
	for i := range apps {
		for _, k := range b.children(fmt.Sprintf("w-worker%d-u1", i)) {
			u, err := b.admin.Get(b.ctx(), k.resource, k.namespace, k.name)
			require.NoError(t, err)
			uids[k] = string(u.GetUID())
		}
	}
	require.Len(t, uids, apps*7)
	var deleting sync.WaitGroup
	for _, k := range b.children("w-worker0-u1") {
		deleting.Go(func() {
			err := b.admin.Dynamic.Resource(k.resource).Namespace(k.namespace).DeleteCollection(b.ctx(), metav1.DeleteOptions{},
				metav1.ListOptions{LabelSelector: workerapp.WorkerLabel})
			if err != nil {
				t.Error(err)
			}
		})
	}
	deleting.Wait()
	for k, uid := range uids {
		b.await(k.resource.Resource+" "+k.name+" is recreated", func() error {
			u, err := b.admin.Get(b.ctx(), k.resource, k.namespace, k.name)
			if err == nil && string(u.GetUID()) == uid {
				return errors.New("not deleted yet")
			}
			return err
		})
	}
	for i := range apps {
		name := fmt.Sprintf("w-worker%d-u1", i)
		b.awaitPhase(name, workerapp.Running)
		require.Equal(t, envValue, b.configMap(name).Data["GREETING"])
	}
	require.Equal(t, outcomes, b.recorder.recorded(), "a repair is no outcome")
}

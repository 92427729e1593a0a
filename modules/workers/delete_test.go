package workers_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"app238.com/inner/app/kube"
	"app238.com/inner/modules/controller/workerapp"
	"app238.com/inner/modules/tasks/job"
	"app238.com/inner/modules/workers/internal/cluster"
)

// workerObject is an object of a worker in one of the two namespaces.
type workerObject struct {
	workerapp.ChildKind
	name string
	spec map[string]any
}

// workerObjects returns all objects that the controller and an earlier release make for the worker named n. Its Service in
// the ingress namespace points to the given worker namespace; its route is for the given domain.
func workerObjects(n, workers, domain string) []workerObject {
	pods := map[string]any{"app": n}
	ports := []any{map[string]any{"port": int64(80)}}
	specs := map[string][]workerObject{
		"NetworkPolicy":       {{name: n, spec: map[string]any{"podSelector": map[string]any{"matchLabels": pods}}}},
		"Secret":              {{name: n + "-secret"}},
		"ConfigMap":           {{name: n + "-env"}},
		"PodDisruptionBudget": {{name: n, spec: map[string]any{"minAvailable": int64(1)}}},
		"Deployment": {{name: n, spec: map[string]any{"selector": map[string]any{"matchLabels": pods}, "template": map[string]any{
			"metadata": map[string]any{"labels": pods},
			"spec":     map[string]any{"containers": []any{map[string]any{"name": n, "image": "registry.test/app:1"}}},
		}}}},
		"Service": {
			{name: n + "-http", spec: map[string]any{"selector": pods, "ports": ports}},
			{name: n, spec: map[string]any{"selector": pods, "ports": ports, "clusterIP": "None"}},
		},
		"IngressRoute": {{name: n, spec: map[string]any{"routes": []any{map[string]any{
			"kind": "Rule", "match": "Host(`w1.worker." + domain + "`) || Host(`" + n + ".worker." + domain + "`)",
		}}}}},
	}
	var all []workerObject
	for _, kind := range workerapp.ChildKinds() {
		of := specs[kind.Kind]
		if kind.Ingress && kind.Kind == "Service" {
			of = []workerObject{{name: n + "-ext",
				spec: map[string]any{"type": "ExternalName", "externalName": n + "-http." + workers + ".svc.cluster.local"}}}
		}
		for _, o := range of {
			o.ChildKind = kind
			all = append(all, o)
		}
	}
	return all
}

// withName returns the object of this kind and name.
func withName(objects []workerObject, kind, name string) []workerObject {
	return slices.DeleteFunc(slices.Clone(objects), func(o workerObject) bool { return o.Kind != kind || o.name != name })
}

// create creates objects with the labels of the worker of user u1 with this id, as they remain after an orphaning deletion
// of their WorkerApp.
func (b *bundle) create(t *testing.T, id string, objects []workerObject, finalizers ...string) {
	t.Helper()
	for _, o := range objects {
		u := &unstructured.Unstructured{Object: map[string]any{}}
		if o.spec != nil {
			u.Object["spec"] = o.spec
		}
		u.SetGroupVersionKind(o.Resource.GroupVersion().WithKind(o.Kind))
		u.SetName(o.name)
		u.SetNamespace(b.namespaceOf(o))
		workerapp.SetIDs(u, id, "u1")
		u.SetFinalizers(finalizers)
		_, err := b.clients.Create(t.Context(), o.Resource, u)
		require.NoError(t, err, "%s %s", o.Kind, o.name)
	}
}

func (b *bundle) namespaceOf(o workerObject) string {
	if o.Ingress {
		return b.ingress
	}
	return b.namespace
}

// existing returns kind and name of those of the objects that exist.
func (b *bundle) existing(t *testing.T, objects []workerObject) (all []string) {
	t.Helper()
	for _, o := range objects {
		list, err := b.clients.Dynamic.Resource(o.Resource).Namespace(b.namespaceOf(o)).List(t.Context(),
			metav1.ListOptions{FieldSelector: "metadata.name=" + o.name})
		require.NoError(t, err)
		for range list.Items {
			all = append(all, o.Kind+" "+o.name)
		}
	}
	return all
}

func TestDeleteRemovesAllObjectsWithoutWorkerApp(t *testing.T) {
	t.Parallel()
	b := setup(t)
	own, others := workerObjects("w-w1-u1", b.namespace, "example.test"), workerObjects("w-w2-u1", b.namespace, "example.test")
	b.create(t, "w1", own)
	b.create(t, "w2", others)
	byHand := withName(own, "NetworkPolicy", "w-w1-u1")
	byHand[0].name = "w-w1-u1-mine"
	b.create(t, "w1", byHand)
	require.NoError(t, b.run(t, "worker.delete_worker_cr", 1, ""))
	require.Empty(t, b.existing(t, own))
	require.Len(t, b.existing(t, others), len(others), "objects of another worker")
	require.Len(t, b.existing(t, byHand), 1, "no name that Inner gives")
}

// answered calls a function after the n-th answer to a request for a path.
type answered struct {
	next http.RoundTripper
	path string
	n    *atomic.Int32
	then func()
}

func (a answered) RoundTrip(r *http.Request) (*http.Response, error) {
	answer, err := a.next.RoundTrip(r)
	if strings.HasSuffix(r.URL.Path, a.path) && a.n.Add(-1) == 0 {
		a.then()
	}
	return answer, err
}

func TestDeleteThatIsPausedKeepsObjectsOfALaterDeploy(t *testing.T) {
	t.Parallel()
	for _, reads := range []int32{1, 2} { // of the WorkerApp, before the pause
		t.Run(fmt.Sprint(reads), func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			n := workerapp.Name("w1", "u1")
			secret := withName(workerObjects(n, b.namespace, "example.test"), "Secret", n+"-secret")
			b.create(t, "w1", secret)
			left, deployed := &atomic.Int32{}, false
			left.Store(reads)
			deploy := func() { // another process ends the deletion, and a deploy runs
				if b.clients.Delete(t.Context(), secret[0].Resource, b.namespace, secret[0].name, "") == nil {
					b.create(t, "w1", secret)
					deployed = b.deploy(t, 1, b.version(t, "app:1")) != nil // it is parked
				}
			}
			clients, err := kube.NewClients(b.db.Config, func(next http.RoundTripper) http.RoundTripper {
				return answered{next, "/workerapps/" + n, left, deploy}
			})
			require.NoError(t, err)
			_, err = cluster.NewRemover(clients, cluster.NewLister(clients, b.db.Config)).Remove(t.Context(), "w1", "u1")
			require.NoError(t, err)
			require.True(t, deployed)
			require.Len(t, b.existing(t, secret), 1, "it holds the only copy of the user's secrets")
			app, err := b.clients.Get(t.Context(), workerapp.Resource(), b.namespace, n)
			require.NoError(t, err)
			require.Nil(t, app.GetDeletionTimestamp())
		})
	}
}

func TestOrphanWithARestoredRowIsKept(t *testing.T) {
	t.Parallel()
	b := setup(t)
	own := workerObjects(workerapp.Name("w1", "u1"), b.namespace, "example.test")
	b.create(t, "w1", own)
	err := b.run(t, "worker.delete_worker_cr", 1, `,"orphan":true`)
	require.Equal(t, "the worker has a row again, and is kept", requireKind(t, job.Terminal, err))
	require.Len(t, b.existing(t, own), len(own))
	b.exec(t, `DELETE FROM workers`)
	require.NoError(t, b.run(t, "worker.delete_worker_cr", 1, `,"orphan":true`))
	require.Empty(t, b.existing(t, own))
}

func TestDeleteWaitsForFinalizersAndNamesThem(t *testing.T) {
	t.Parallel()
	b := setup(t)
	own := workerObjects("w-w1-u1", b.namespace, "example.test")
	held := withName(own, "Deployment", "w-w1-u1")
	b.create(t, "w1", held, "example.com/hold")
	b.create(t, "w1", slices.DeleteFunc(slices.Clone(own), func(o workerObject) bool { return o.Kind == "Deployment" }))
	requireKind(t, job.Parked, b.deploy(t, 1, b.version(t, "app:1")))
	const waits = "waiting for the deletion of the worker's objects: "
	app := waits + "WorkerApp " + b.namespace + "/w-w1-u1, held by the finalizer " + workerapp.Finalizer
	deployment := "Deployment " + b.namespace + "/w-w1-u1, held by the finalizer example.com/hold"
	require.Equal(t, app, requireKind(t, job.Snooze, b.run(t, "worker.delete_worker_cr", 2, "")))
	require.Len(t, b.existing(t, own), len(own), "the WorkerApp must have a deletion timestamp first")
	require.Equal(t, app+"; "+deployment, requireKind(t, job.Snooze, b.run(t, "worker.delete_worker_cr", 2, "")))
	require.Equal(t, []string{"Deployment w-w1-u1"}, b.existing(t, own))
	b.removeApps(t)
	for range 2 {
		require.Equal(t, waits+deployment, requireKind(t, job.Snooze, b.run(t, "worker.delete_worker_cr", 2, "")))
	}
	_, err := b.clients.MergePatch(t.Context(), held[0].Resource, b.namespace, held[0].name,
		[]byte(`{"metadata":{"finalizers":null}}`))
	require.NoError(t, err)
	require.NoError(t, b.run(t, "worker.delete_worker_cr", 2, ""))
	require.Empty(t, b.existing(t, own))
	require.Equal(t, "unloaded", b.rows(t)[0])
}

func TestDeleteKeepsUnmanagedObjects(t *testing.T) {
	t.Parallel()
	b := setup(t)
	// Objects of a copy of this platform, which has the same ids and hosts.
	copied := workerObjects("w-w1-u1", "other-workers", "example.test")
	copied = append(withName(copied, "Service", "w-w1-u1-ext"), withName(copied, "IngressRoute", "w-w1-u1")...)
	b.create(t, "w1", copied)
	// A route of another domain whose Service is missing.
	route := withName(workerObjects("w-w2-u1", b.namespace, "other.test"), "IngressRoute", "w-w2-u1")
	b.create(t, "w2", route)
	// A Service that an operator made for a worker's Deployment.
	exposed := withName(workerObjects("w-w1-u1", b.namespace, "example.test"), "Service", "w-w1-u1")
	delete(exposed[0].spec, "clusterIP")
	b.create(t, "w1", exposed)
	require.Empty(t, b.listActual(t))
	for _, id := range []string{"w1", "w2"} {
		p, err := b.jobs["worker.delete_worker_cr"].Prepare([]byte(`{"worker_id":"` + id + `","user_uid":"u1"}`))
		require.NoError(t, err)
		require.NoError(t, p.Execute(t.Context(), job.Task{ID: 1, Type: "worker.delete_worker_cr", Attempt: 1}))
	}
	require.Len(t, b.existing(t, copied), 2)
	require.Len(t, b.existing(t, route), 1)
	require.Len(t, b.existing(t, exposed), 1)
}

func TestInventoryListsEveryKindOfWorkerObject(t *testing.T) {
	t.Parallel()
	b := setup(t)
	own := workerObjects("w-w9-u1", b.namespace, "example.test")
	b.create(t, "w9", own)
	var want []string
	for _, o := range own {
		want = append(want, "w-w9-u1 u1 w9 worker/u1/w9 ["+o.Kind+"]")
	}
	slices.Sort(want)
	require.Equal(t, want, b.listActual(t))
	_, err := b.clients.MergePatch(t.Context(), own[0].Resource, b.namespace, own[0].name,
		[]byte(`{"metadata":{"labels":{"owner-id":"another"}}}`))
	require.NoError(t, err)
	require.Len(t, b.listActual(t), len(own)-1, "the labels do not match the name")
}

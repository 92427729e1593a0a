package controller_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"app238.com/inner/modules/controller/rollout"
	"app238.com/inner/modules/controller/workerapp"
)

func TestNewWorkerAppGetsChildrenAndIsRecorded(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.source.set(map[string]string{"GREETING": envValue, "RAYSAIL_UID": "forged"}, nil)
	b.startAndSync()
	s := spec("abc12345")
	s.MaxReplicas, s.MainRegion = 2, "global-1"
	name := b.deploy(s, 7, 42)
	require.Equal(t, "w-abc12345-u1", name)
	app := b.awaitPhase(name, workerapp.Running)
	require.Contains(t, app.Finalizers, "console.app238.com/ingress")
	require.Equal(t, []rollout.Outcome{{WorkerID: "abc12345", OwnerID: "u1", Origin: workerapp.Origin{Version: 7, Task: 42},
		Running: true}}, b.recorder.recorded())
	for _, c := range app.Status.Conditions {
		want := map[string]metav1.ConditionStatus{"Ready": "True", "Reconciling": "False", "Stalled": "False", "Recorded": "True"}
		require.Equal(t, want[c.Type], c.Status, c.Type)
		require.Equal(t, app.Generation, c.ObservedGeneration)
	}

	configMap := b.configMap(name)
	require.Equal(t, map[string]string{"GREETING": envValue}, configMap.Data, "reserved keys stand in the Secret only")
	require.Equal(t, map[string][]byte{
		"COMBINATOR_API_ENDPOINT": []byte("http://combinator.combinator.svc.cluster.local:8899"),
		"RAYSAIL_UID":             []byte("u1"), "RAYSAIL_SECRET_KEY": []byte(secretKey),
	}, b.secret(name).Data)
	deployment := b.deployment(name)
	require.EqualValues(t, 2, *deployment.Spec.Replicas)
	require.Equal(t, healthyImage, deployment.Spec.Template.Spec.Containers[0].Image)
	require.Equal(t, name, deployment.Spec.Template.Spec.Containers[0].Name)
	require.NotEqual(t, "None", b.service(name).Spec.ClusterIP)
	external := b.external(name)
	require.Equal(t, name+"-http."+b.worker()+".svc.cluster.local", external.Spec.ExternalName)
	route := b.route(name)
	match, err := json.Marshal(route.Object["spec"])
	require.NoError(t, err)
	for _, host := range []string{"abc12345", "abc12345-u1", "w-abc12345-u1"} {
		require.Contains(t, string(match), "Host(`"+host+".worker.example.test`)")
	}
	for _, o := range []metav1.Object{configMap, b.secret(name), deployment, b.service(name)} {
		require.Equal(t, name, o.GetLabels()["app"])
		require.True(t, metav1.IsControlledBy(o, app))
	}
	for _, o := range []metav1.Object{external, route} {
		require.Equal(t, map[string]string{"app": name, "worker-id": "abc12345", "owner-id": "u1"}, o.GetLabels())
		require.Empty(t, o.GetOwnerReferences())
	}
	pods := b.pods(name)
	require.Len(t, pods, 2)
	require.Equal(t, "global-1", pods[0].Spec.Affinity.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution.
		NodeSelectorTerms[0].MatchExpressions[0].Values[0])
}

func TestDeployWritesEachObjectOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.startAndSync()
	name := b.deploy(spec("abc12345"), 7, 42)
	b.awaitPhase(name, workerapp.Running)
	b.waitForIdle()
	first := b.writes()
	require.Equal(t, map[string]int{
		name + "/status": 1, "networkpolicies/" + name: 1,
		"configmaps/" + name + "-env": 1, "secrets/" + name + "-secret": 1, "deployments/" + name: 1,
		"services/" + name + "-http": 1, "services/" + name + "-ext": 1, "ingressroutes/" + name: 1,
	}, perObject(first))
	require.Equal(t, 1, b.source.lookups())

	s := spec("abc12345")
	s.Image = "registry.test/healthy:2"
	b.deploy(s, 8, 43)
	b.awaitPhase(name, workerapp.Running)
	b.waitForIdle()
	second := b.writes()
	require.Equal(t, map[string]int{"configmaps/" + name + "-env": 1, "deployments/" + name: 1, name + "/status": 2},
		perObject(second[len(first):]))

	lookups := b.source.lookups()
	b.deploy(s, 9, 44)
	b.awaitPhase(name, workerapp.Running)
	b.waitForIdle()
	require.Equal(t, map[string]int{name + "/status": 1}, perObject(b.writes()[len(second):]), "a new version of the same image")
	require.Equal(t, lookups+1, b.source.lookups())
	writes := len(b.writes())
	b.stop()
	b.startAndSync()
	b.waitForIdle()
	require.Len(t, b.writes(), writes)
	require.Equal(t, lookups+1, b.source.lookups())
}

func TestNewVersionOfMutableImageRollsPods(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.startAndSync()
	s := spec("abc12345")
	s.Image = "registry.test/healthy"
	name := b.deploy(s, 7, 42)
	b.awaitPhase(name, workerapp.Running)
	first := b.pods(name)
	require.Equal(t, corev1.PullAlways, first[0].Spec.Containers[0].ImagePullPolicy)
	b.deploy(s, 7, 43)
	b.awaitPhase(name, workerapp.Running)
	require.Equal(t, first[0].UID, b.pods(name)[0].UID, "a task of the same version")
	b.deploy(s, 8, 44)
	b.awaitPhase(name, workerapp.Running)
	require.NotEqual(t, first[0].UID, b.pods(name)[0].UID)
	require.Equal(t, 2, b.templates(name))
}

// perObject counts writes by the last two parts of their paths.
func perObject(writes []string) map[string]int {
	count := map[string]int{}
	for _, write := range writes {
		path := strings.Split(write, "/")
		count[path[len(path)-2]+"/"+path[len(path)-1]]++
	}
	return count
}

func TestInvalidSpecFailsOnlyItsWorker(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.startAndSync()
	for i := range 10 {
		s := spec(fmt.Sprintf("worker%d", i))
		if i == 3 {
			s.MainRegion = "no region!"
		}
		b.deploy(s, int64(i+1), int64(i+100))
	}
	for i := range 10 {
		if i != 3 {
			b.awaitPhase(fmt.Sprintf("w-worker%d-u1", i), workerapp.Running)
		}
	}
	app := b.awaitPhase("w-worker3-u1", workerapp.Failed)
	require.Equal(t,
		`spec.mainRegion: "no region!" cannot be a region; it must be the value of a node's label topology.kubernetes.io/region`,
		app.Status.Message)
	require.Len(t, b.recorder.recorded(), 10)
	require.Contains(t, b.recorder.recorded(), rollout.Outcome{WorkerID: "worker3", OwnerID: "u1",
		Origin: workerapp.Origin{Version: 4, Task: 103}, Reason: app.Status.Message})

	s := spec("worker3")
	b.deploy(s, 20, 200)
	b.awaitPhase("w-worker3-u1", workerapp.Running)
}

func TestInvalidSpecKeepsExistingChildren(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.startAndSync()
	name := b.deploy(spec("abc12345"), 1, 1)
	b.awaitPhase(name, workerapp.Running)
	before := b.deployment(name)
	s := spec("abc12345")
	s.MainRegion, s.Image = "no region!", "registry.test/healthy:2"
	b.deploy(s, 2, 2)
	require.Contains(t, b.awaitPhase(name, workerapp.Failed).Status.Message, "spec.mainRegion")
	require.Equal(t, before.ResourceVersion, b.deployment(name).ResourceVersion)
	require.Len(t, b.pods(name), 1)
}

func TestInvalidVariableIsReportedByKeyOnly(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.source.set(map[string]string{"FINE": "x", "1ST": envValue}, nil)
	b.startAndSync()
	name := b.deploy(spec("abc12345"), 1, 1)
	app := b.awaitPhase(name, workerapp.Failed)
	require.Contains(t, app.Status.Message, `"1ST"`)
	require.NotContains(t, app.Status.Message, envValue)
	require.Empty(t, b.configMaps(), "no child is applied")
	b.source.set(map[string]string{"FINE": "x"}, nil)
	b.deploy(spec("abc12345"), 1, 2)
	b.awaitPhase(name, workerapp.Running)
}

func TestRedeployOfSameImageStartsNoPod(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.startAndSync()
	name := b.deploy(spec("abc12345"), 7, 42)
	b.awaitPhase(name, workerapp.Running)
	pods := b.pods(name)
	b.deploy(spec("abc12345"), 8, 43)
	b.awaitPhase(name, workerapp.Running)
	require.Equal(t, []rollout.Outcome{
		{WorkerID: "abc12345", OwnerID: "u1", Origin: workerapp.Origin{Version: 7, Task: 42}, Running: true},
		{WorkerID: "abc12345", OwnerID: "u1", Origin: workerapp.Origin{Version: 8, Task: 43}, Running: true},
	}, b.recorder.recorded())
	after := b.pods(name)
	require.Len(t, after, 1)
	require.Equal(t, pods[0].UID, after[0].UID)
	require.Equal(t, 1, b.templates(name))
	require.Equal(t, 2, b.source.lookups(), "a new task may change the environment")
}

func TestSameIDsOfOtherDatabaseAreNewRollout(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.startAndSync()
	first := workerapp.Origin{Version: 7, Task: 42, Accepted: "t1", Database: "d1"}
	second := workerapp.Origin{Version: 7, Task: 42, Accepted: "t2", Database: "d2"}
	name := b.deployFrom(spec("abc12345"), first)
	b.awaitPhase(name, workerapp.Running)
	b.source.set(map[string]string{"GREETING": "of the restored rows"}, nil)
	b.deployFrom(spec("abc12345"), second)
	b.awaitPhase(name, workerapp.Running)
	require.Equal(t, "of the restored rows", b.configMap(name).Data["GREETING"])
	require.Equal(t, []rollout.Outcome{
		{WorkerID: "abc12345", OwnerID: "u1", Origin: first, Running: true},
		{WorkerID: "abc12345", OwnerID: "u1", Origin: second, Running: true},
	}, b.recorder.recorded())
}

func TestPodsRollWhenEnvironmentChanges(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.startAndSync()
	name := b.deploy(spec("abc12345"), 1, 1)
	b.awaitPhase(name, workerapp.Running)
	first := b.pods(name)[0].UID

	b.patch("configmaps", name+"-env", `{"metadata": {"labels": {"extra": "1"}}}`)
	b.patch("secrets", name+"-secret", `{"data": {"TOKEN": "eA=="}}`)
	b.await("a new pod for the user's secret", func() error {
		if pods := b.pods(name); len(pods) != 1 || pods[0].UID == first {
			return fmt.Errorf("%d pods", len(pods))
		}
		return nil
	})
	require.Equal(t, 2, b.templates(name), "a label rolls nothing")
	require.Equal(t, "x", string(b.secret(name).Data["TOKEN"]), "the user's keys stay")
	b.awaitPhase(name, workerapp.Running)

	b.source.set(map[string]string{"GREETING": "another"}, nil)
	b.deploy(spec("abc12345"), 1, 2)
	b.await("the new environment", func() error {
		if n := b.templates(name); n != 3 {
			return fmt.Errorf("%d templates", n)
		}
		return nil
	})
	b.awaitPhase(name, workerapp.Running)
	require.Equal(t, "another", b.configMap(name).Data["GREETING"])
}

func TestFieldsNoLongerDesiredAreRemoved(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.startAndSync()
	s := spec("abc12345")
	s.MainRegion = "global-1"
	name := b.deploy(s, 1, 1)
	b.awaitPhase(name, workerapp.Running)
	b.patchAt(childRef{workerapp.Resource(), b.worker(), name}, `{"spec": {"mainRegion": "global"}}`)
	b.await("the region is removed", func() error {
		if b.deployment(name).Spec.Template.Spec.Affinity.NodeAffinity != nil {
			return errors.New("still there")
		}
		return nil
	})
	b.awaitPhase(name, workerapp.Running)
	require.Len(t, b.recorder.recorded(), 1, "a spec edited by hand is no new version")

	b.patchAt(childRef{workerapp.Resource(), b.worker(), name}, `{"metadata": {"annotations": null}}`)
	b.awaitPhase(name, workerapp.Running)
	require.NotContains(t, b.deployment(name).Annotations, workerapp.VersionAnnotation)
}

func TestWorkerAppWithoutVersionIsNotRecorded(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.startAndSync()
	u := workerapp.ToApply(b.worker(), spec("byhand"), workerapp.Origin{})
	u.SetAnnotations(nil)
	u.SetLabels(nil)
	_, err := b.admin.Apply(b.ctx(), workerapp.Resource(), u)
	require.NoError(t, err)
	b.awaitPhase("w-byhand-u1", workerapp.Running)
	require.Empty(t, b.recorder.recorded())
}

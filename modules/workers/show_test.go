package workers_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"app238.com/inner/modules/controller/workerapp"
	"app238.com/inner/modules/tasks/job"
	"app238.com/inner/modules/workers/admin"
)

const n = "w-w1-u1"

var routes = schema.GroupVersionResource{Group: "traefik.io", Version: "v1alpha1", Resource: "ingressroutes"}

// show returns what the admin shows of w1.
func (b *bundle) show(t *testing.T) admin.Details {
	t.Helper()
	d, err := b.admin.Show(t.Context(), "w1")
	require.NoError(t, err)
	return d
}

// serve makes w1 active with the objects that the controller makes; a paused Deployment makes no pods.
func (b *bundle) serve(t *testing.T, paused bool) (version int) {
	t.Helper()
	version = b.rollOut(t, "registry.test/app:1", 7, "")
	b.writeStatus(t, version, 7, workerapp.Running, "")
	labels := workerapp.Labels("w1", "u1")
	_, err := b.clients.Typed.AppsV1().Deployments(b.namespace).Create(t.Context(), &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: n, Labels: labels},
		Spec: appsv1.DeploymentSpec{Paused: paused, Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": n}},
			Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: corev1.PodSpec{
				Containers: []corev1.Container{{Name: n, Image: "registry.test/app:1"}}}}},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
	b.service(t, b.namespace, n+"-http", corev1.ServiceSpec{Ports: []corev1.ServicePort{{Port: 80}}})
	b.service(t, b.ingress, n+"-ext", corev1.ServiceSpec{Type: corev1.ServiceTypeExternalName,
		ExternalName: n + "-http." + b.namespace + ".svc.cluster.local"})
	route := &unstructured.Unstructured{Object: map[string]any{"spec": map[string]any{
		"routes": []any{map[string]any{"kind": "Rule", "match": "Host(`w1.worker.example.test`) || Host(`w1-u1.worker.example.test`)"}},
	}}}
	route.SetGroupVersionKind(schema.GroupVersionKind{Group: "traefik.io", Version: "v1alpha1", Kind: "IngressRoute"})
	route.SetName(n)
	route.SetNamespace(b.ingress)
	_, err = b.clients.Apply(t.Context(), routes, route)
	require.NoError(t, err)
	return version
}

func (b *bundle) service(t *testing.T, namespace, name string, spec corev1.ServiceSpec) {
	t.Helper()
	_, err := b.clients.Typed.CoreV1().Services(namespace).Create(t.Context(), &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: workerapp.Labels("w1", "u1")}, Spec: spec}, metav1.CreateOptions{})
	require.NoError(t, err)
}

// pod makes a pod of w1 with this status, without a node.
func (b *bundle) pod(t *testing.T, name string, status corev1.PodStatus) {
	t.Helper()
	pods := b.clients.Typed.CoreV1().Pods(b.namespace)
	made, err := pods.Create(t.Context(), &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: workerapp.Labels("w1", "u1")},
		Spec:       corev1.PodSpec{SchedulerName: "none", Containers: []corev1.Container{{Name: n, Image: "registry.test/app:1"}}},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
	made.Status = status
	_, err = pods.UpdateStatus(t.Context(), made, metav1.UpdateOptions{})
	require.NoError(t, err)
}

func TestShownWorkerHasReasonsOfFailingPods(t *testing.T) {
	t.Parallel()
	b := setup(t)
	version := b.serve(t, true)
	d := b.show(t)
	require.Empty(t, d.ClusterError)
	require.Equal(t, &admin.App{Name: n, Phase: "Running", Version: int64(version), Task: 7, Recorded: true,
		Observed: d.App.Observed, CreatedAt: d.App.CreatedAt}, d.App)
	require.Equal(t, []string{"w1.worker.example.test", "w1-u1.worker.example.test"}, d.Route.Hosts)
	require.Equal(t, n+"-http."+b.namespace+".svc.cluster.local", d.Route.Target)
	require.Equal(t, []string{"no pod is ready, so requests are answered with an error"}, d.Route.Problems)

	ended := corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: 137, Reason: "OOMKilled"}}
	waiting := func(reason, message string) corev1.ContainerState {
		return corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason, Message: message}}
	}
	b.pod(t, "crashing", corev1.PodStatus{Phase: corev1.PodRunning, ContainerStatuses: []corev1.ContainerStatus{{Name: n,
		RestartCount: 4, State: waiting("CrashLoopBackOff", "back-off 40s"), LastTerminationState: ended}}})
	b.pod(t, "pulling", corev1.PodStatus{Phase: corev1.PodPending, ContainerStatuses: []corev1.ContainerStatus{{Name: n,
		State: waiting("ErrImagePull", "no such image; password=hunter2")}}})
	b.pod(t, "unready", corev1.PodStatus{Phase: corev1.PodRunning, Conditions: []corev1.PodCondition{{Type: corev1.PodReady,
		Status: corev1.ConditionFalse}}})
	b.pod(t, "serving", corev1.PodStatus{Phase: corev1.PodRunning, Conditions: []corev1.PodCondition{{Type: corev1.PodReady,
		Status: corev1.ConditionTrue}}, ContainerStatuses: []corev1.ContainerStatus{{Name: n, RestartCount: 1, Ready: true,
		State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}, LastTerminationState: ended}}})
	_, err := b.clients.Typed.CoreV1().Events(b.namespace).Create(t.Context(), &corev1.Event{
		ObjectMeta:     metav1.ObjectMeta{Name: "e1"},
		InvolvedObject: corev1.ObjectReference{Kind: "Pod", Namespace: b.namespace, Name: "crashing"},
		Type:           "Warning", Reason: "BackOff", Message: "restarting", Count: 9, LastTimestamp: metav1.NewTime(time.Now()),
	}, metav1.CreateOptions{})
	require.NoError(t, err)
	d = b.show(t)
	shown := map[string]string{}
	for _, p := range d.Pods {
		shown[p.Name] = fmt.Sprintf("%s %t %d %s", p.Status, p.Ready, p.Restarts, p.Reason)
	}
	require.Equal(t, map[string]string{
		"crashing": "CrashLoopBackOff false 4 CrashLoopBackOff: exit code 137 (OOMKilled)",
		"pulling":  "ErrImagePull false 0 ErrImagePull: no such image; password=***",
		"unready":  "Running false 0 the container runs but is not ready; does the program listen on the version's port?",
		"serving":  "Running true 1 restarted: exit code 137 (OOMKilled)",
	}, shown)
	require.Equal(t, "serving", d.Pods[3].Name, "failing pods come first")
	require.Contains(t, d.Problems, "pod crashing: CrashLoopBackOff: exit code 137 (OOMKilled)")
	require.NotContains(t, fmt.Sprint(d.Problems), "serving")
	require.Equal(t, "BackOff Pod/crashing 9", fmt.Sprint(d.Events[0].Reason, " ", d.Events[0].Object, " ", d.Events[0].Count))
}

func TestShownWorkerNamesWhatItsRouteLacks(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.serve(t, true)
	services := b.clients.Typed.CoreV1().Services
	require.NoError(t, services(b.namespace).Delete(t.Context(), n+"-http", metav1.DeleteOptions{}))
	require.Contains(t, b.show(t).Problems, "route: the Service "+b.namespace+"/"+n+"-http does not exist")
	require.NoError(t, services(b.ingress).Delete(t.Context(), n+"-ext", metav1.DeleteOptions{}))
	b.service(t, b.ingress, n+"-ext", corev1.ServiceSpec{Type: corev1.ServiceTypeExternalName, ExternalName: "elsewhere.test"})
	require.Contains(t, b.show(t).Problems, "route: the Service "+n+"-ext leads to elsewhere.test")
	require.NoError(t, b.clients.Delete(t.Context(), routes, b.ingress, n, ""))
	require.Contains(t, b.show(t).Problems, "route: the IngressRoute "+b.ingress+"/"+n+" does not exist")
}

func TestShownWorkerHasItsTasksAndListsReadyPods(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.exec(t, `UPDATE workers SET status = 'loading'`)
	require.Equal(t, []string{"the row is loading and no task is unfinished; the job audit.stuck_rows repairs it"},
		b.show(t).Problems)
	b.queue.listed = []job.Summary{
		{ID: 9, Type: "worker.deploy_worker", Status: "pending", OrderingKey: "worker/u1/w1", Attempts: 2, LastError: "registry away",
			CreatedAt: time.Now()},
		{ID: 8, Type: "x", Status: "error", OrderingKey: "worker/u1/w2"},
	}
	d := b.show(t)
	require.Len(t, d.Tasks, 1)
	require.Equal(t, []string{"task 9 (worker.deploy_worker) is retried after attempt 2: registry away"}, d.Problems)

	b.serve(t, false)
	require.Eventually(t, func() bool {
		page, err := b.admin.List(t.Context(), admin.Filter{Limit: 5})
		require.NoError(t, err)
		require.Empty(t, page.ClusterError)
		return *page.Workers[0].Ready == 1
	}, time.Minute, 100*time.Millisecond)
}

package rolloutstate_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"app238.com/inner/modules/controller/internal/children"
	"app238.com/inner/modules/controller/internal/conditions"
	"app238.com/inner/modules/controller/internal/rolloutstate"
	"app238.com/inner/modules/controller/workerapp"
)

const grace = 20 * time.Second

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

// setup returns a rollout of two pods that has just started.
func setup() rolloutstate.Input {
	at := map[string]string{workerapp.VersionAnnotation: "7", workerapp.TaskAnnotation: "42"}
	return rolloutstate.Input{
		App:      &workerapp.WorkerApp{ObjectMeta: metav1.ObjectMeta{Generation: 3, Annotations: at}, Spec: workerapp.Spec{Port: 8080}},
		Replicas: 2, Grace: grace, Now: noon,
		Deployment: &appsv1.Deployment{
			ObjectMeta: metav1.ObjectMeta{Generation: 5},
			Spec: appsv1.DeploymentSpec{Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{children.TemplateAnnotation: "new"}},
			}},
			Status: appsv1.DeploymentStatus{ObservedGeneration: 5, Replicas: 3, UpdatedReplicas: 1, ReadyReplicas: 2},
		},
	}
}

func pod(template string, states ...corev1.ContainerStatus) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{children.TemplateAnnotation: template}},
		Status:     corev1.PodStatus{Phase: corev1.PodRunning, ContainerStatuses: states},
	}
}

func waiting(reason, message string) corev1.ContainerStatus {
	return corev1.ContainerStatus{State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason,
		Message: message}}}
}

func exited(code int32, reason, message string) *corev1.ContainerStateTerminated {
	return &corev1.ContainerStateTerminated{ExitCode: code, Reason: reason, Message: message}
}

// withStatus sets the status for state as written at that time.
func withStatus(in rolloutstate.Input, state conditions.State, at time.Time) rolloutstate.Input {
	in.App.Status = conditions.Next(in.App, state, at)
	return in
}

// reasonAndMessage drops Serving and the start of a failure.
func reasonAndMessage(s conditions.State) conditions.State {
	s.Serving = false
	if s.Phase == workerapp.Failed {
		s.Since = time.Time{}
	}
	return s
}

func TestRunningNeedsEveryPodOfCurrentVersion(t *testing.T) {
	t.Parallel()
	in := setup()
	in.Deployment.Status = appsv1.DeploymentStatus{ObservedGeneration: 5, Replicas: 2, UpdatedReplicas: 2, ReadyReplicas: 2}
	state, requeueAfter := rolloutstate.Evaluate(in)
	require.Equal(t, workerapp.Running, state.Phase)
	require.Zero(t, requeueAfter)

	for name, change := range map[string]func(in *rolloutstate.Input){
		"no Deployment":             func(in *rolloutstate.Input) { in.Deployment = nil },
		"not observed":              func(in *rolloutstate.Input) { in.Deployment.Generation = 6 },
		"an old pod left":           func(in *rolloutstate.Input) { in.Deployment.Status.Replicas = 3 },
		"a pod of the old template": func(in *rolloutstate.Input) { in.Deployment.Status.UpdatedReplicas = 1 },
		"an unready pod":            func(in *rolloutstate.Input) { in.Deployment.Status.ReadyReplicas = 1 },
		"fewer pods than desired":   func(in *rolloutstate.Input) { in.Replicas = 3 },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in := setup()
			in.Deployment.Status = appsv1.DeploymentStatus{ObservedGeneration: 5, Replicas: 2, UpdatedReplicas: 2, ReadyReplicas: 2}
			change(&in)
			state, _ := rolloutstate.Evaluate(in)
			require.Equal(t, workerapp.Deploying, state.Phase)
		})
	}
}

func TestFailingPodsFailRolloutAfterGrace(t *testing.T) {
	t.Parallel()
	crashed := waiting("CrashLoopBackOff", "back-off 10s restarting")
	crashed.LastTerminationState.Terminated = exited(1, "Error", "no database\n")
	for name, test := range map[string]struct {
		state   corev1.ContainerStatus
		reason  string
		message string
	}{
		"pull": {waiting("ErrImagePull", "manifest unknown"), rolloutstate.ImageNotPulled, "ErrImagePull: manifest unknown"},
		"pull again": {waiting("ImagePullBackOff", "Back-off pulling"), rolloutstate.ImageNotPulled,
			"ImagePullBackOff: Back-off pulling"},
		"config": {waiting("CreateContainerConfigError", "no secret"), rolloutstate.NotCreated,
			"CreateContainerConfigError: no secret"},
		"create": {waiting("CreateContainerError", "x"), rolloutstate.NotCreated, "CreateContainerError: x"},
		"run":    {waiting("RunContainerError", "no such file"), rolloutstate.Crashing, "RunContainerError: no such file"},
		"crash":  {crashed, rolloutstate.Crashing, "CrashLoopBackOff: exit code 1 (Error): no database"},
		"out of space": {corev1.ContainerStatus{State: corev1.ContainerState{Terminated: exited(137, "OOMKilled", "")}},
			rolloutstate.Crashing, "OOMKilled: exit code 137"},
		"ends with 0": {corev1.ContainerStatus{RestartCount: 1, State: corev1.ContainerState{Terminated: exited(0, "Completed", "")}},
			rolloutstate.Crashing, "Completed: exit code 0"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in := setup()
			in.Pods = []*corev1.Pod{pod("new", test.state)}
			state, requeueAfter := rolloutstate.Evaluate(in)
			require.Equal(t, conditions.State{Phase: workerapp.Deploying, Reason: test.reason, Message: test.message, Since: noon},
				reasonAndMessage(state))
			require.GreaterOrEqual(t, requeueAfter, grace)

			in = withStatus(in, state, noon)
			in.Now = noon.Add(grace)
			_, left := rolloutstate.Evaluate(in)
			require.Equal(t, requeueAfter-grace, left, "the grace starts with the first observation")

			in.Now = noon.Add(requeueAfter)
			state, requeueAfter = rolloutstate.Evaluate(in)
			require.Equal(t, conditions.State{Phase: workerapp.Failed, Reason: test.reason, Message: test.message},
				reasonAndMessage(state))
			require.Zero(t, requeueAfter)
		})
	}
}

func TestPermanentPodErrorsFailAtOnce(t *testing.T) {
	t.Parallel()
	in := setup()
	in.Pods = []*corev1.Pod{pod("new", waiting("ErrImagePull", "x")), pod("new", waiting("InvalidImageName", "bad reference"))}
	state, _ := rolloutstate.Evaluate(in)
	require.Equal(t, conditions.State{Phase: workerapp.Failed, Reason: rolloutstate.ImageNotPulled,
		Message: "InvalidImageName: bad reference"}, reasonAndMessage(state))
}

func TestPodsOfOtherTemplatesAreIgnored(t *testing.T) {
	t.Parallel()
	terminating := pod("new", waiting("ErrImagePull", "x"))
	terminating.DeletionTimestamp = &metav1.Time{Time: noon}
	evicted := pod("old")
	evicted.Status.Phase = corev1.PodFailed
	sidecar := corev1.ContainerStatus{Name: "sidecar", RestartCount: 1,
		State: corev1.ContainerState{Terminated: exited(0, "Completed", "")}}
	restarted := corev1.ContainerStatus{Name: "sidecar", RestartCount: 1,
		State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}}
	restarted.LastTerminationState.Terminated = exited(0, "Completed", "")
	in := setup()
	in.Pods = []*corev1.Pod{pod("old", waiting("ErrImagePull", "x")), terminating, evicted, pod("new", sidecar),
		pod("new", restarted), pod("new", waiting("ContainerCreating", "")), pod("new")}
	state, requeueAfter := rolloutstate.Evaluate(in)
	require.Equal(t, conditions.State{Phase: workerapp.Deploying, Reason: rolloutstate.InProgress}, reasonAndMessage(state))
	require.Zero(t, requeueAfter)
}

func TestRestartedContainerNeitherFailsNorRecoversRollout(t *testing.T) {
	t.Parallel()
	running := corev1.ContainerStatus{RestartCount: 2, State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}}
	running.LastTerminationState.Terminated = exited(1, "Error", "boom")
	in := setup()
	in.Pods = []*corev1.Pod{pod("new", running)}
	state, _ := rolloutstate.Evaluate(in)
	in = withStatus(in, state, noon)
	in.Now = noon.Add(10 * grace)
	state, _ = rolloutstate.Evaluate(in)
	require.Equal(t, workerapp.Deploying, state.Phase, "it may become ready yet")
	require.Equal(t, noon, state.Since)

	in = withStatus(in, conditions.State{Phase: workerapp.Failed, Reason: rolloutstate.Crashing, Message: "before"}, noon)
	state, _ = rolloutstate.Evaluate(in)
	require.Equal(t, conditions.State{Phase: workerapp.Failed, Reason: rolloutstate.Crashing, Message: "before"},
		reasonAndMessage(state))
}

func TestProgressDeadline(t *testing.T) {
	t.Parallel()
	deadlinePassed := []appsv1.DeploymentCondition{{Type: appsv1.DeploymentProgressing, Status: corev1.ConditionFalse,
		Reason: "ProgressDeadlineExceeded", Message: "has timed out progressing"}}
	unready := pod("new", corev1.ContainerStatus{State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}})
	unready.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionFalse}}
	unschedulable := pod("new")
	unschedulable.Status = corev1.PodStatus{Phase: corev1.PodPending, Conditions: []corev1.PodCondition{{
		Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: "Unschedulable", Message: "0/3 nodes are available"}}}
	for name, test := range map[string]struct {
		pods    []*corev1.Pod
		reason  string
		message string
	}{
		"no pods":       {nil, rolloutstate.Deadline, "no progress within the deadline: has timed out progressing"},
		"unready":       {[]*corev1.Pod{unready}, rolloutstate.Deadline, "does the program listen on TCP port 8080?"},
		"unschedulable": {[]*corev1.Pod{unschedulable}, rolloutstate.Deadline, "Unschedulable: 0/3 nodes are available"},
		"pull":          {[]*corev1.Pod{pod("new", waiting("ErrImagePull", "x"))}, rolloutstate.ImageNotPulled, "ErrImagePull: x"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in := setup()
			in.Pods, in.Deployment.Status.Conditions = test.pods, deadlinePassed
			state, requeueAfter := rolloutstate.Evaluate(in)
			require.Equal(t, workerapp.Failed, state.Phase)
			require.Equal(t, test.reason, state.Reason)
			require.Contains(t, state.Message, test.message)
			require.Zero(t, requeueAfter)
		})
	}
	in := setup()
	in.Pods = []*corev1.Pod{unschedulable}
	state, _ := rolloutstate.Evaluate(in)
	require.Equal(t, workerapp.Deploying, state.Phase, "a node may be added before the deadline")
}

func TestReplicaFailureFailsRolloutAfterGrace(t *testing.T) {
	t.Parallel()
	in := setup()
	in.Deployment.Status.Conditions = []appsv1.DeploymentCondition{{Type: appsv1.DeploymentReplicaFailure,
		Status: corev1.ConditionTrue, Reason: "FailedCreate", Message: "exceeded quota"}}
	state, requeueAfter := rolloutstate.Evaluate(in)
	require.Equal(t, workerapp.Deploying, state.Phase)
	in = withStatus(in, state, noon)
	in.Now = noon.Add(requeueAfter)
	state, _ = rolloutstate.Evaluate(in)
	require.Equal(t, conditions.State{Phase: workerapp.Failed, Reason: rolloutstate.ReplicaFailure,
		Message: "FailedCreate: exceeded quota"}, reasonAndMessage(state))
}

func TestFailureKeepsItsMessageAcrossRestarts(t *testing.T) {
	t.Parallel()
	in := withStatus(setup(),
		conditions.State{Phase: workerapp.Failed, Reason: rolloutstate.ImageNotPulled, Message: "ErrImagePull: manifest unknown"}, noon)
	before := in.App.Status
	in.Now = noon.Add(time.Hour)
	in.Pods = []*corev1.Pod{pod("new", waiting("ImagePullBackOff", "Back-off pulling"))}
	state, _ := rolloutstate.Evaluate(in)
	require.True(t, conditions.Equal(before, conditions.Next(in.App, state, in.Now)), "nothing to write")

	in.Pods[0].Status.ContainerStatuses = []corev1.ContainerStatus{waiting("CrashLoopBackOff", "x")}
	state, _ = rolloutstate.Evaluate(in)
	require.Equal(t, workerapp.Failed, state.Phase, "another failure of the same rollout")
	require.Equal(t, "CrashLoopBackOff: x", state.Message)
}

func TestPullErrorMessageOutlivesBackOffMessage(t *testing.T) {
	t.Parallel()
	in := setup()
	in.Pods = []*corev1.Pod{pod("new", waiting("ErrImagePull", "manifest unknown"))}
	state, requeueAfter := rolloutstate.Evaluate(in)
	in = withStatus(in, state, noon)
	in.Now = noon.Add(requeueAfter)
	in.Pods = []*corev1.Pod{pod("new", waiting("ImagePullBackOff", "Back-off pulling"))}
	state, _ = rolloutstate.Evaluate(in)
	require.Equal(t, workerapp.Failed, state.Phase)
	require.Equal(t, "ErrImagePull: manifest unknown", state.Message)
}

func TestNewTaskOrGenerationRestartsGrace(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(app *workerapp.WorkerApp){
		"task":       func(app *workerapp.WorkerApp) { app.Annotations[workerapp.TaskAnnotation] = "43" },
		"generation": func(app *workerapp.WorkerApp) { app.Generation++ },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in := withStatus(setup(), conditions.State{Phase: workerapp.Failed, Reason: rolloutstate.Crashing, Message: "old"}, noon)
			change(in.App)
			in.Now = noon.Add(time.Hour)
			in.Pods = []*corev1.Pod{pod("new", waiting("CrashLoopBackOff", "x"))}
			state, _ := rolloutstate.Evaluate(in)
			require.Equal(t, workerapp.Deploying, state.Phase)
			require.Equal(t, in.Now, state.Since)
		})
	}
}

func TestMessagesArePrintableAndBounded(t *testing.T) {
	t.Parallel()
	last := exited(1, "Error", strings.Repeat("x", 3000)+"\x00\x1b[31mthe end\xff\n")
	in := setup()
	in.Pods = []*corev1.Pod{pod("new", corev1.ContainerStatus{State: corev1.ContainerState{Terminated: last}})}
	state, _ := rolloutstate.Evaluate(in)
	require.True(t, strings.HasSuffix(state.Message, "[31mthe end?"), state.Message)
	require.Less(t, len([]rune(state.Message)), 500)
	require.NotContains(t, state.Message, "\x00")
}

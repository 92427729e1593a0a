package rolloutstate_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"app238.com/inner/modules/controller/internal/conditions"
	"app238.com/inner/modules/controller/internal/rolloutstate"
	"app238.com/inner/modules/controller/workerapp"
)

func TestVersionThatRanFailsWithoutReadyPods(t *testing.T) {
	t.Parallel()
	in := setup()
	in.Deployment.Status = appsv1.DeploymentStatus{ObservedGeneration: 5, Replicas: 2, UpdatedReplicas: 2}
	pending := pod("new")
	pending.Status.Phase = corev1.PodPending
	pending.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodScheduled, Status: corev1.ConditionFalse,
		Reason: "Unschedulable", Message: "no node"}}
	in.Pods = []*corev1.Pod{pending}
	state, requeueAfter := rolloutstate.Evaluate(in)
	require.Equal(t, conditions.State{Phase: workerapp.Deploying, Reason: rolloutstate.InProgress}, state,
		"before it has run, the deadline decides")
	require.Zero(t, requeueAfter)

	running := conditions.State{Phase: workerapp.Running, Reason: rolloutstate.Complete}
	in.App.Status = conditions.Recorded(in.App, conditions.Next(in.App, running, noon), running, nil, noon)
	state, requeueAfter = rolloutstate.Evaluate(in)
	require.Equal(t, workerapp.Deploying, state.Phase)
	require.Positive(t, requeueAfter)
	recorded := in.App.Status
	in = withStatus(in, state, noon)
	in.Now = noon.Add(requeueAfter)
	state, _ = rolloutstate.Evaluate(in)
	require.Equal(t, conditions.State{Phase: workerapp.Failed, Reason: rolloutstate.NotServing,
		Message: "no pod serves: Unschedulable: no node", Since: noon}, state)

	in.App.Status, in.Now = recorded, noon
	in.Deployment.Status.ReadyReplicas = 1
	state, _ = rolloutstate.Evaluate(in)
	require.Equal(t, conditions.State{Phase: workerapp.Deploying, Reason: rolloutstate.InProgress, Serving: true}, state,
		"no failure while one pod is ready")
}

func TestFailedVersionRecoversOnceAvailable(t *testing.T) {
	t.Parallel()
	in := setup()
	in.Deployment.Status = appsv1.DeploymentStatus{ObservedGeneration: 5, Replicas: 2, UpdatedReplicas: 2, ReadyReplicas: 2}
	in = withStatus(in, conditions.State{Phase: workerapp.Failed, Reason: rolloutstate.Crashing}, noon)
	state, _ := rolloutstate.Evaluate(in)
	require.NotEqual(t, workerapp.Running, state.Phase)
	in.Deployment.Status.AvailableReplicas = 2
	state, _ = rolloutstate.Evaluate(in)
	require.Equal(t, workerapp.Running, state.Phase)
}

func TestFailedPodsFailRolloutWhenReplacementsFail(t *testing.T) {
	t.Parallel()
	evicted := func(at time.Time) *corev1.Pod {
		p := pod("new")
		p.CreationTimestamp = metav1.NewTime(at)
		p.Status = corev1.PodStatus{Phase: corev1.PodFailed, Reason: "Evicted", Message: "the disk is full"}
		return p
	}
	in := setup()
	in.Pods = []*corev1.Pod{evicted(noon.Add(-time.Second)), pod("new")}
	state, requeueAfter := rolloutstate.Evaluate(in)
	require.Equal(t, conditions.State{Phase: workerapp.Deploying, Reason: rolloutstate.PodFailed,
		Message: "Evicted: the disk is full", Since: noon}, reasonAndMessage(state))
	require.Positive(t, requeueAfter)
	in = withStatus(in, state, noon)
	in.Now = noon.Add(10 * grace)
	state, _ = rolloutstate.Evaluate(in)
	require.Equal(t, workerapp.Deploying, state.Phase, "its replacement has not failed")
	in.Pods[1].Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}
	in.Pods = append(in.Pods, evicted(noon.Add(time.Second)))
	state, _ = rolloutstate.Evaluate(in)
	require.Equal(t, workerapp.Deploying, state.Phase, "another one is ready")
	in.Pods[1].Status.Conditions = nil
	in.Pods = append(in.Pods, evicted(noon.Add(grace)))
	state, _ = rolloutstate.Evaluate(in)
	require.Equal(t, conditions.State{Phase: workerapp.Failed, Reason: rolloutstate.PodFailed, Message: "Evicted: the disk is full"},
		reasonAndMessage(state))
}

// Package rolloutstate tells from a Deployment and its pods how a rollout stands. It is pure: time is an input too.
package rolloutstate

import (
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"

	"app238.com/inner/modules/controller/internal/conditions"
	"app238.com/inner/modules/controller/workerapp"
)

// Reasons of the states.
const (
	Complete       = "RolloutComplete"
	InProgress     = "RolloutInProgress"
	ImageNotPulled = "ImageNotPulled"
	NotCreated     = "ContainerNotCreated"
	PodFailed      = "PodFailed"
	Crashing       = "ContainerCrashing"
	ReplicaFailure = "ReplicaFailure"
	Deadline       = "ProgressDeadlineExceeded"
	NotServing     = "NotServing"
)

// resolution is that of the times in a status; a grace that is counted from one is not cut short by it.
const resolution = time.Second

// Input is all that the state of a rollout depends on.
type Input struct {
	// App is the desired one, Replicas the number of pods.
	App      *workerapp.WorkerApp
	Replicas int32
	// Deployment is the live one; Pods are all pods of the worker, also those of earlier templates.
	Deployment *appsv1.Deployment
	Pods       []*corev1.Pod
	// Grace is how long pods may fail to start before that fails the rollout.
	Grace time.Duration
	// Deadline is how long a rollout may make no progress, where the Deployment does not count that.
	Deadline time.Duration
	Now      time.Time
}

// Evaluate returns the state and, where it changes by the mere passing of time, after how long to look again.
func Evaluate(in Input) (conditions.State, time.Duration) {
	state, requeueAfter := evaluate(in)
	state.Serving = in.Deployment != nil && in.Deployment.Status.ReadyReplicas > 0
	return state, requeueAfter
}

func evaluate(in Input) (conditions.State, time.Duration) {
	if !observed(in) {
		return conditions.State{Phase: workerapp.Deploying, Reason: InProgress}, 0
	}
	if complete(in) {
		return conditions.State{Phase: workerapp.Running, Reason: Complete}, 0
	}
	previous, _ := conditions.Previous(in.App)
	deadlinePassed := deadlineExceeded(in.Deployment)
	worst, failing := worstFailure(in)
	switch {
	case failing:
		return evaluateFailure(in, worst, previous, deadlinePassed)
	case deadlinePassed:
		return failed(in, failure{reason: Deadline, message: deadlineMessage(in)}, previous), 0
	case deadlineActive(in.Deployment) || conditions.HasRun(in.App):
		return conditions.State{Phase: workerapp.Deploying, Reason: InProgress}, 0
	}
	return evaluateDeadline(in, previous)
}

// counts tells whether the Deployment's own deadline is under way. It is not for a template that was complete before, like that of a
// worker that had no pods for a while.
func deadlineActive(d *appsv1.Deployment) bool {
	c, ok := deploymentCondition(d, appsv1.DeploymentProgressing)
	return !ok || c.Reason != "NewReplicaSetAvailable"
}

// uncounted counts the deadline in the status.
func evaluateDeadline(in Input, previous conditions.State) (conditions.State, time.Duration) {
	since := previous.LastingSince(in.Now, InProgress, Deadline)
	wait := since.Add(in.Deadline + resolution).Sub(in.Now)
	if wait <= 0 || previous.Phase == workerapp.Failed && previous.Reason == Deadline {
		return failed(in, failure{reason: Deadline, message: deadlineMessage(in)}, previous), 0
	}
	return conditions.State{Phase: workerapp.Deploying, Reason: InProgress, Since: since}, wait
}

// judge decides whether pods that fail to start have failed the rollout yet.
func evaluateFailure(in Input, worst failure, previous conditions.State, deadlinePassed bool) (conditions.State, time.Duration) {
	since := previous.LastingSince(in.Now, worst.reason)
	wait := since.Add(in.Grace + resolution).Sub(in.Now)
	stays := previous.Phase == workerapp.Failed && IsPodReason(previous.Reason)
	if worst.final || deadlinePassed || stays || (!worst.recovering && wait <= 0) {
		return failed(in, worst, previous), 0
	}
	state := conditions.State{Phase: workerapp.Deploying, Reason: worst.reason, Message: worst.message, Since: since}
	if previous.Reason == worst.reason {
		state.Message = previous.Message
	}
	return state, max(wait, 0)
}

// failed keeps the message of an earlier look that found the same: pods change their words all the time, and each change
// would be a write.
func failed(in Input, t failure, previous conditions.State) conditions.State {
	state := conditions.State{Phase: workerapp.Failed, Reason: t.reason, Message: t.message, Since: previous.Since}
	if state.Since.IsZero() {
		state.Since = in.Now
	}
	if previous.Reason == t.reason && (previous.Phase == workerapp.Failed || t.ambiguous) {
		state.Message = previous.Message
	}
	return state
}

// OfPods tells whether the reason is one that only the pods' recovery ends.
func IsPodReason(reason string) bool {
	switch reason {
	case ImageNotPulled, NotCreated, PodFailed, Crashing, ReplicaFailure, Deadline, NotServing:
		return true
	}
	return false
}

// current tells whether the Deployment's status is about the Deployment as it is.
func observed(in Input) bool {
	return in.Deployment != nil && in.Deployment.Status.ObservedGeneration >= in.Deployment.Generation
}

// complete tells whether every pod that is wished serves and no other is left. Pods that replace serving ones have then been
// ready for the Deployment's minReadySeconds, since the old ones go no earlier; where there were none, nothing is gained by
// waiting. Pods that have failed must last that long, or each start of a crashing one would count.
func complete(in Input) bool {
	s := in.Deployment.Status
	serving := s.ReadyReplicas
	if previous, _ := conditions.Previous(in.App); previous.Phase == workerapp.Failed && IsPodReason(previous.Reason) {
		serving = s.AvailableReplicas
	}
	return s.UpdatedReplicas == in.Replicas && s.Replicas == in.Replicas && serving == in.Replicas
}

func deadlineExceeded(d *appsv1.Deployment) bool {
	c, ok := deploymentCondition(d, appsv1.DeploymentProgressing)
	return ok && c.Status == corev1.ConditionFalse && c.Reason == "ProgressDeadlineExceeded"
}

func deploymentCondition(d *appsv1.Deployment, kind appsv1.DeploymentConditionType) (appsv1.DeploymentCondition, bool) {
	for _, c := range d.Status.Conditions {
		if c.Type == kind {
			return c, true
		}
	}
	return appsv1.DeploymentCondition{}, false
}

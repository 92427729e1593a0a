// Package rolloutstate derives the state of a rollout from a Deployment and its pods. It is pure: the time is an input too.
package rolloutstate

import (
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"

	"app238.com/inner/modules/controller/internal/conditions"
	"app238.com/inner/modules/controller/workerapp"
)

// Reasons of states.
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

// resolution is the precision of times in a status. Grace periods are extended by it, so that truncation shortens none.
const resolution = time.Second

// Input holds everything that the state of a rollout depends on.
type Input struct {
	// App is the WorkerApp, Replicas its desired number of pods.
	App      *workerapp.WorkerApp
	Replicas int32
	// Deployment is the live one. Pods are all pods of the worker, including those of earlier templates.
	Deployment *appsv1.Deployment
	Pods       []*corev1.Pod
	// Grace is how long pods may fail before the rollout fails.
	Grace time.Duration
	// Deadline is how long a rollout may make no progress if the Deployment itself has no active deadline.
	Deadline time.Duration
	Now      time.Time
}

// Evaluate returns the state, and when to evaluate again if time alone can change it, else 0.
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

// deadlineActive reports whether the Deployment's own deadline is active. It is not for a template whose rollout was complete
// before, such as after scaling to zero.
func deadlineActive(d *appsv1.Deployment) bool {
	c, ok := deploymentCondition(d, appsv1.DeploymentProgressing)
	return !ok || c.Reason != "NewReplicaSetAvailable"
}

// evaluateDeadline measures the deadline in the status.
func evaluateDeadline(in Input, previous conditions.State) (conditions.State, time.Duration) {
	since := previous.LastingSince(in.Now, InProgress, Deadline)
	wait := since.Add(in.Deadline + resolution).Sub(in.Now)
	if wait <= 0 || previous.Phase == workerapp.Failed && previous.Reason == Deadline {
		return failed(in, failure{reason: Deadline, message: deadlineMessage(in)}, previous), 0
	}
	return conditions.State{Phase: workerapp.Deploying, Reason: InProgress, Since: since}, wait
}

// evaluateFailure decides whether failing pods have failed the rollout.
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

// failed keeps the earlier message of the same reason: messages of pods change often, and each change would be a write.
func failed(in Input, f failure, previous conditions.State) conditions.State {
	state := conditions.State{Phase: workerapp.Failed, Reason: f.reason, Message: f.message, Since: previous.Since}
	if state.Since.IsZero() {
		state.Since = in.Now
	}
	if previous.Reason == f.reason && (previous.Phase == workerapp.Failed || f.ambiguous) {
		state.Message = previous.Message
	}
	return state
}

// IsPodReason reports whether only the recovery of pods ends a failure with this reason.
func IsPodReason(reason string) bool {
	switch reason {
	case ImageNotPulled, NotCreated, PodFailed, Crashing, ReplicaFailure, Deadline, NotServing:
		return true
	}
	return false
}

// observed reports whether the Deployment's status is of its current generation.
func observed(in Input) bool {
	return in.Deployment != nil && in.Deployment.Status.ObservedGeneration >= in.Deployment.Generation
}

// complete reports whether all desired pods are ready and no others are left. Pods that replaced ready ones have then been ready
// for minReadySeconds, since the old ones are deleted no earlier; without old ones, waiting gains nothing. After a failure, pods
// must be ready for that long, or each restart of a crashing one would count.
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

package rolloutstate

import (
	"cmp"
	"fmt"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"

	"app238.com/inner/modules/controller/internal/children"
	"app238.com/inner/modules/controller/internal/conditions"
)

// failure is why a rollout makes no progress.
type failure struct {
	reason, message string
	// final: it cannot recover. recovering: the container runs again at the moment. ambiguous: an earlier message of the same
	// failure is more specific.
	final, recovering, ambiguous bool
}

// worstFailure returns the most severe failure of the Deployment and the pods of its current template. Equal ones are ordered by
// pod, so that each evaluation returns the same.
func worstFailure(in Input) (failure, bool) {
	for _, rank := range []func(failure) bool{
		func(f failure) bool { return f.final },
		func(f failure) bool { return !f.recovering },
		func(failure) bool { return true },
	} {
		for _, f := range failures(in) {
			if rank(f) {
				return f, true
			}
		}
	}
	return failure{}, false
}

func failures(in Input) []failure {
	var all []failure
	for _, pod := range podsOf(in, false) {
		for _, c := range slices.Concat(pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses) {
			if f, ok := containerFailure(c, c.Name == in.App.Name); ok {
				all = append(all, f)
			}
		}
	}
	if f, ok := podFailure(in); ok {
		all = append(all, f)
	}
	if c, ok := deploymentCondition(in.Deployment, appsv1.DeploymentReplicaFailure); ok && c.Status == corev1.ConditionTrue {
		all = append(all, failure{reason: ReplicaFailure, message: text(c.Reason, c.Message)})
	}
	if len(all) == 0 && in.Deployment.Status.ReadyReplicas == 0 && conditions.HasRun(in.App) {
		all = append(all, failure{reason: NotServing, message: notServingMessage(in)})
	}
	return all
}

// podFailure returns the failure of failed pods, such as evicted ones, of a version that has not run yet. The Deployment replaces
// each of them, which counts as progress. If a replacement fails as well and no pod is ready, the failure is not recovering.
func podFailure(in Input) (failure, bool) {
	failed := podsOf(in, true)
	if len(failed) == 0 || conditions.HasRun(in.App) {
		return failure{}, false
	}
	last := failed[len(failed)-1]
	previous, _ := conditions.Previous(in.App)
	replacementFailed := previous.Reason == PodFailed && last.CreationTimestamp.After(previous.Since) && !anyReady(in)
	return failure{reason: PodFailed, message: podFailureMessage(last), recovering: !replacementFailed}, true
}

func anyReady(in Input) bool {
	return slices.ContainsFunc(podsOf(in, false), func(pod *corev1.Pod) bool {
		c, ok := podCondition(pod, corev1.PodReady)
		return ok && c.Status == corev1.ConditionTrue
	})
}

// podsOf returns the failed or the other pods of the current template that are not terminating, oldest first.
func podsOf(in Input, failed bool) []*corev1.Pod {
	var pods []*corev1.Pod
	for _, pod := range in.Pods {
		if children.IsCurrent(pod, in.Deployment) && pod.DeletionTimestamp == nil && (pod.Status.Phase == corev1.PodFailed) == failed {
			pods = append(pods, pod)
		}
	}
	slices.SortFunc(pods, func(a, b *corev1.Pod) int {
		return cmp.Or(a.CreationTimestamp.Compare(b.CreationTimestamp.Time), cmp.Compare(a.Name, b.Name))
	})
	return pods
}

// containerFailure returns the failure of a container. Containers other than the worker's own, added by webhooks, may complete.
func containerFailure(c corev1.ContainerStatus, own bool) (failure, bool) {
	switch {
	case c.State.Waiting != nil:
		return waitingFailure(c)
	case c.State.Terminated != nil && (c.State.Terminated.ExitCode != 0 || c.RestartCount > 0 && own):
		return failure{reason: Crashing, message: exitText(c.State.Terminated.Reason, c.State.Terminated)}, true
	case c.State.Running != nil && !c.Ready && c.RestartCount > 0 && c.LastTerminationState.Terminated != nil:
		last := c.LastTerminationState.Terminated
		if last.ExitCode == 0 && !own {
			return failure{}, false
		}
		return failure{reason: Crashing, message: exitText(last.Reason, last), recovering: true}, true
	}
	return failure{}, false
}

func waitingFailure(c corev1.ContainerStatus) (failure, bool) {
	waiting := c.State.Waiting
	f := failure{message: text(waiting.Reason, waiting.Message)}
	switch waiting.Reason {
	case "InvalidImageName", "ErrImageNeverPull":
		f.reason, f.final = ImageNotPulled, true
	case "ErrImagePull":
		f.reason = ImageNotPulled
	case "ImagePullBackOff":
		f.reason, f.ambiguous = ImageNotPulled, true
	case "CreateContainerConfigError", "CreateContainerError":
		f.reason = NotCreated
	case "RunContainerError", "CrashLoopBackOff":
		f.reason = Crashing
		if last := c.LastTerminationState.Terminated; last != nil {
			f.message = exitText(waiting.Reason, last)
		}
	default:
		return failure{}, false
	}
	return f, true
}

// exitText describes how a container ended, without the back-off time of its restart, which changes often.
func exitText(reason string, last *corev1.ContainerStateTerminated) string {
	exit := fmt.Sprintf("exit code %d", last.ExitCode)
	if last.Reason != "" && last.Reason != reason {
		exit += " (" + last.Reason + ")"
	}
	if last.Message != "" {
		exit += ": " + terminationMessage(last)
	}
	return joined(conditions.Public(reason), exit)
}

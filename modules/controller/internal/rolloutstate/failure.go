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

// trouble is why a rollout does not get on.
type failure struct {
	reason, message string
	// final: waiting cannot help. recovering: the container runs again at the moment. vague: an earlier message of the
	// same trouble tells more.
	final, recovering, ambiguous bool
}

// worstTrouble returns the trouble that speaks most clearly for a failed rollout, of the pods of the wished template and
// of the Deployment itself. Equal ones are ordered by their pods, so that each look gives the same.
func worstFailure(in Input) (failure, bool) {
	for _, rank := range []func(failure) bool{
		func(t failure) bool { return t.final },
		func(t failure) bool { return !t.recovering },
		func(failure) bool { return true },
	} {
		for _, t := range failures(in) {
			if rank(t) {
				return t, true
			}
		}
	}
	return failure{}, false
}

func failures(in Input) []failure {
	var all []failure
	for _, pod := range podsOf(in, false) {
		for _, c := range slices.Concat(pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses) {
			if t, ok := containerFailure(c, c.Name == in.App.Name); ok {
				all = append(all, t)
			}
		}
	}
	if t, ok := podFailure(in); ok {
		all = append(all, t)
	}
	if c, ok := deploymentCondition(in.Deployment, appsv1.DeploymentReplicaFailure); ok && c.Status == corev1.ConditionTrue {
		all = append(all, failure{reason: ReplicaFailure, message: text(c.Reason, c.Message)})
	}
	if len(all) == 0 && in.Deployment.Status.ReadyReplicas == 0 && conditions.HasRun(in.App) {
		all = append(all, failure{reason: NotServing, message: notServingMessage(in)})
	}
	return all
}

// podTrouble tells of pods of a version that has not run yet which were given up, as by an eviction. Each is replaced by a new
// one, which counts as progress. One that was made after the first was seen says that the next ones will fare no better, unless any
// is ready.
func podFailure(in Input) (failure, bool) {
	failed := podsOf(in, true)
	if len(failed) == 0 || conditions.HasRun(in.App) {
		return failure{}, false
	}
	last := failed[len(failed)-1]
	previous, _ := conditions.Previous(in.App)
	requeueAfter := previous.Reason == PodFailed && last.CreationTimestamp.After(previous.Since) && !anyReady(in)
	return failure{reason: PodFailed, message: podFailureMessage(last), recovering: !requeueAfter}, true
}

func anyReady(in Input) bool {
	return slices.ContainsFunc(podsOf(in, false), func(pod *corev1.Pod) bool {
		c, ok := podCondition(pod, corev1.PodReady)
		return ok && c.Status == corev1.ConditionTrue
	})
}

// podsOf returns the pods of the desired template that are not leaving, oldest first: those that were given up, or the others.
func podsOf(in Input, podFailureMessage bool) []*corev1.Pod {
	var pods []*corev1.Pod
	for _, pod := range in.Pods {
		if children.IsCurrent(pod, in.Deployment) && pod.DeletionTimestamp == nil && (pod.Status.Phase == corev1.PodFailed) == podFailureMessage {
			pods = append(pods, pod)
		}
	}
	slices.SortFunc(pods, func(a, b *corev1.Pod) int {
		return cmp.Or(a.CreationTimestamp.Compare(b.CreationTimestamp.Time), cmp.Compare(a.Name, b.Name))
	})
	return pods
}

// containerTrouble tells what is wrong with a container. Others than the worker's own one, which a webhook may have added, can have
// done all they are for.
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
	t := failure{message: text(waiting.Reason, waiting.Message)}
	switch waiting.Reason {
	case "InvalidImageName", "ErrImageNeverPull":
		t.reason, t.final = ImageNotPulled, true
	case "ErrImagePull":
		t.reason = ImageNotPulled
	case "ImagePullBackOff":
		t.reason, t.ambiguous = ImageNotPulled, true
	case "CreateContainerConfigError", "CreateContainerError":
		t.reason = NotCreated
	case "RunContainerError", "CrashLoopBackOff":
		t.reason = Crashing
		if last := c.LastTerminationState.Terminated; last != nil {
			t.message = exitText(waiting.Reason, last)
		}
	default:
		return failure{}, false
	}
	return t, true
}

// exitText says how a container ended. It leaves out the count-down of the next try: that changes all the time.
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

package rolloutstate

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"

	"app238.com/inner/app/logging"
	"app238.com/inner/modules/controller/internal/conditions"
)

// Lengths in characters: of a message, and of the end of a termination message.
const (
	messageLength = 700
	tailLength    = 400
)

// deadlineMessage describes why a rollout without a failing container made no progress.
func deadlineMessage(in Input) string {
	const noProgress = "no progress within the deadline"
	if why := unreadyReason(in); why != "" {
		return text(noProgress, why)
	}
	c, _ := deploymentCondition(in.Deployment, appsv1.DeploymentProgressing)
	return text(noProgress, c.Message)
}

// notServingMessage describes why a version that ran has no ready pod and no failing container.
func notServingMessage(in Input) string {
	why := unreadyReason(in)
	if failed := podsOf(in, true); why == "" && len(failed) > 0 {
		why = podFailureMessage(failed[len(failed)-1])
	}
	return text("no pod serves", why)
}

// podFailureMessage returns the reason and message of a failed pod.
func podFailureMessage(pod *corev1.Pod) string {
	return text(cmp.Or(pod.Status.Reason, "the pod failed"), pod.Status.Message)
}

// unreadyReason describes why pods of the current template are not ready, "" if unknown.
func unreadyReason(in Input) string {
	for _, pod := range podsOf(in, false) {
		if c, ok := podCondition(pod, corev1.PodScheduled); ok && c.Status == corev1.ConditionFalse {
			return text(c.Reason, c.Message)
		}
		if c, ok := podCondition(pod, corev1.PodReady); ok && c.Status != corev1.ConditionTrue &&
			pod.Status.Phase == corev1.PodRunning {
			return fmt.Sprintf("the container runs but is not ready; does the program listen on TCP port %d?", in.App.Spec.Port)
		}
	}
	return ""
}

func podCondition(pod *corev1.Pod, kind corev1.PodConditionType) (corev1.PodCondition, bool) {
	for _, c := range pod.Status.Conditions {
		if c.Type == kind {
			return c, true
		}
	}
	return corev1.PodCondition{}, false
}

// text joins a reason and a message of the cluster, either of which may be "", for storage and display.
func text(reason, message string) string {
	return joined(conditions.Public(reason), conditions.Public(message))
}

// joined is text for parts that are already printable and free of internals.
func joined(parts ...string) string {
	parts = slices.DeleteFunc(parts, func(part string) bool { return part == "" })
	return logging.Clip(strings.Join(parts, ": "), messageLength)
}

// terminationMessage returns the end of a container's termination message: of the program, which is shown as it is, or of a
// runtime that could not start it.
func terminationMessage(last *corev1.ContainerStateTerminated) string {
	message := strings.TrimSpace(logging.Printable(last.Message))
	switch last.Reason {
	case "StartError", "ContainerCannotRun", "ContainerStatusUnknown":
		message = conditions.Public(message)
	}
	if runes := []rune(message); len(runes) > tailLength {
		return "…" + string(runes[len(runes)-tailLength:])
	}
	return message
}

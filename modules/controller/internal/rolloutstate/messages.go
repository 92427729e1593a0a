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

// Lengths in characters: of a whole message, and of what a container said last, of which the end tells most.
const (
	messageLength = 700
	tailLength    = 400
)

// describeLate says why a rollout made no progress where no container is in trouble.
func deadlineMessage(in Input) string {
	const deadlinePassed = "no progress within the deadline"
	if why := unreadyReason(in); why != "" {
		return text(deadlinePassed, why)
	}
	c, _ := deploymentCondition(in.Deployment, appsv1.DeploymentProgressing)
	return text(deadlinePassed, c.Message)
}

// describeNone says why no pod of a version that has run serves, where no container is in trouble.
func notServingMessage(in Input) string {
	why := unreadyReason(in)
	if failed := podsOf(in, true); why == "" && len(failed) > 0 {
		why = podFailureMessage(failed[len(failed)-1])
	}
	return text("no pod serves", why)
}

// givenUp says why a pod was, in the words of whoever did it.
func podFailureMessage(pod *corev1.Pod) string {
	return text(cmp.Or(pod.Status.Reason, "the pod failed"), pod.Status.Message)
}

// unready says why the pods of the desired template are not ready, "" where nothing is known.
func unreadyReason(in Input) string {
	for _, pod := range podsOf(in, false) {
		if c, ok := podCondition(pod, corev1.PodScheduled); ok && c.Status == corev1.ConditionFalse {
			return text(c.Reason, c.Message)
		}
		if c, ok := podCondition(pod, corev1.PodReady); ok && c.Status != corev1.ConditionTrue && pod.Status.Phase == corev1.PodRunning {
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

// text joins a reason and its message in the cluster's words, either of which may be missing, and makes them fit to be stored and
// shown.
func text(reason, message string) string {
	return joined(conditions.Public(reason), conditions.Public(message))
}

// joined is text for words that are fit already.
func joined(parts ...string) string {
	parts = slices.DeleteFunc(parts, func(part string) bool { return part == "" })
	return logging.Clip(strings.Join(parts, ": "), messageLength)
}

// lastWords returns the end of what a container said last: its program, whose words are its owner's, or the runtime that could not
// start it.
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

package cluster

import (
	"cmp"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"app238.com/inner/modules/workers/admin"
)

// podOf returns a pod with its status and, if it is not ready or has restarted, the reason.
func podOf(pod *corev1.Pod) admin.Pod {
	shown := admin.Pod{Name: pod.Name, Node: pod.Spec.NodeName, Status: string(pod.Status.Phase),
		CreatedAt: pod.CreationTimestamp.UTC()}
	for _, c := range pod.Status.Conditions {
		switch {
		case c.Type == corev1.PodReady:
			shown.Ready = c.Status == corev1.ConditionTrue
		case c.Type == corev1.PodScheduled && c.Status == corev1.ConditionFalse:
			shown.Reason = joined(c.Reason, plain(c.Message))
		}
	}
	if pod.Status.Reason != "" || pod.Status.Phase == corev1.PodFailed {
		shown.Status = cmp.Or(pod.Status.Reason, shown.Status)
		shown.Reason = joined(shown.Status, plain(pod.Status.Message))
	}
	for _, c := range slices.Concat(pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses) {
		shown.Restarts += int64(c.RestartCount)
		state, reason := containerState(c)
		shown.Status, shown.Reason = cmp.Or(state, shown.Status), cmp.Or(reason, shown.Reason)
	}
	switch {
	case pod.DeletionTimestamp != nil:
		shown.Status = "Terminating"
	case shown.Reason == "" && !shown.Ready && pod.Status.Phase == corev1.PodRunning:
		shown.Reason = "the container runs but is not ready; does the program listen on the version's port?"
	}
	return shown
}

// containerState returns why a container waits or has ended, "" if it runs, and the reason, with that of its last end.
func containerState(c corev1.ContainerStatus) (state, reason string) {
	last := ended(c.LastTerminationState.Terminated)
	switch {
	case c.State.Waiting != nil && c.State.Waiting.Reason == "CrashLoopBackOff":
		return c.State.Waiting.Reason, joined(c.State.Waiting.Reason, last)
	case c.State.Waiting != nil && (c.State.Waiting.Message != "" || last != ""):
		return c.State.Waiting.Reason, joined(c.State.Waiting.Reason, cmp.Or(plain(c.State.Waiting.Message), last))
	case c.State.Waiting != nil:
		return c.State.Waiting.Reason, ""
	case c.State.Terminated != nil && c.State.Terminated.ExitCode != 0:
		return cmp.Or(c.State.Terminated.Reason, "Terminated"), ended(c.State.Terminated)
	case last != "":
		return "", "restarted: " + last
	}
	return "", ""
}

func ended(t *corev1.ContainerStateTerminated) string {
	if t == nil {
		return ""
	}
	return joined(fmt.Sprintf("exit code %d", t.ExitCode)+inParentheses(t.Reason), plain(t.Message))
}

func inParentheses(reason string) string {
	if reason == "" || reason == "Error" {
		return ""
	}
	return " (" + reason + ")"
}

func joined(reason, message string) string {
	if reason == "" || message == "" {
		return reason + message
	}
	return reason + ": " + message
}

package rolloutstate_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"

	"app238.com/inner/modules/controller/internal/rolloutstate"
)

func TestMessagesHideNodeInternalsNotProgramOutput(t *testing.T) {
	t.Parallel()
	const message = "dial tcp 127.0.0.1:5432: open /proc/self/environ"
	const shown = "dial tcp (an address of the node): open (a path of the node)"
	ended := func(reason string) corev1.ContainerStatus {
		return corev1.ContainerStatus{RestartCount: 1, State: corev1.ContainerState{Terminated: exited(128, reason, message)}}
	}
	for name, test := range map[string]struct {
		state corev1.ContainerStatus
		want  string
	}{
		"kubelet":           {waiting("CreateContainerError", message), "CreateContainerError: " + shown},
		"pull":              {waiting("ErrImagePull", message), "ErrImagePull: " + shown},
		"container runtime": {ended("StartError"), "StartError: exit code 128: " + shown},
		"program":           {ended("Error"), "Error: exit code 128: " + message},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in := setup()
			in.Pods = []*corev1.Pod{pod("new", test.state)}
			state, _ := rolloutstate.Evaluate(in)
			require.Equal(t, test.want, state.Message)
		})
	}
}

package controller_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"app238.com/inner/modules/controller/workerapp"
)

func TestFailureMessageHidesNodeInternals(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.startAndSync()
	s := spec("abc12345")
	s.Image = "registry.test/fail/unready:1"
	name := b.deploy(s, 1, 1)
	b.await("a pod that runs", func() error {
		if pods := b.pods(name); len(pods) != 1 || len(pods[0].Status.ContainerStatuses) != 1 {
			return errors.New("not yet")
		}
		return nil
	})
	pod := b.pods(name)[0]
	message := fmt.Sprintf(`error mounting "/var/lib/kubelet/pods/%s/volumes/x" to rootfs at "/data": lookup registry.test on 127.0.0.53:53`, pod.UID)
	patch := fmt.Sprintf(`{"status":{"containerStatuses":[{"name":%q,"image":%q,"imageID":"","ready":false,"restartCount":0,"state":{"waiting":
		{"reason":"CreateContainerError","message":%q}}}]}}`, name, s.Image, message)
	_, err := b.admin.Typed.CoreV1().Pods(b.worker()).Patch(b.ctx(), pod.Name, types.MergePatchType, []byte(patch),
		metav1.PatchOptions{}, "status")
	require.NoError(t, err)
	const want = `CreateContainerError: error mounting "(a path of the node)" to rootfs at "/data": lookup registry.test on (an address of the node)`
	require.Equal(t, want, b.awaitPhase(name, workerapp.Failed).Status.Message)
	b.awaitRecorded(name)
	outcomes := b.recorder.recorded()
	require.Equal(t, want, outcomes[len(outcomes)-1].Reason)
}

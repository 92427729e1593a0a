package controller_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"app238.com/inner/modules/controller/workerapp"
)

func TestPodsPassPodSecurityStandards(t *testing.T) {
	t.Parallel()
	for level, nonRoot := range map[string]bool{"baseline": false, "restricted": true} {
		t.Run(level, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			b.patchAt(childRef{corev1.SchemeGroupVersion.WithResource("namespaces"), "", b.worker()},
				`{"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "`+level+`"}}}`)
			b.config.Controller.Pods.RunAsNonRoot = nonRoot
			b.startAndSync()
			for i, port := range []int64{8080, 80} {
				s := spec(fmt.Sprintf("worker%d", i))
				s.Port = port
				b.awaitPhase(b.deploy(s, 1, 1), workerapp.Running)
			}
			_, err := b.admin.Typed.CoreV1().Pods(b.worker()).Create(b.ctx(), &corev1.Pod{
				ObjectMeta: metav1.ObjectMeta{Name: "on-the-host"},
				Spec:       corev1.PodSpec{HostNetwork: true, Containers: []corev1.Container{{Name: "c", Image: healthyImage}}},
			}, metav1.CreateOptions{})
			require.True(t, apierrors.IsForbidden(err), "the level is enforced: %v", err)
		})
	}
}

func TestForbiddenPodsFailRolloutWithReason(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.patchAt(childRef{corev1.SchemeGroupVersion.WithResource("namespaces"), "", b.worker()},
		`{"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "restricted"}}}`)
	b.startAndSync()
	name := b.deploy(spec("abc12345"), 1, 1)
	require.Contains(t, b.awaitPhase(name, workerapp.Failed).Status.Message, "runAsNonRoot")
}

func TestBudgetFollowsReplicas(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.startAndSync()
	s := spec("abc12345")
	name := b.deploy(s, 1, 1)
	b.awaitPhase(name, workerapp.Running)
	budget := childRef{policyv1.SchemeGroupVersion.WithResource("poddisruptionbudgets"), b.worker(), name}
	require.Equal(t, "not found", b.content(budget))

	s.MaxReplicas = 2
	b.deploy(s, 1, 2)
	b.awaitPhase(name, workerapp.Running)
	require.Contains(t, b.content(budget), `"maxUnavailable":1`)
	desired := b.content(budget)
	b.patchAt(budget, `{"spec": {"maxUnavailable": 2}}`)
	b.awaitWithin(repairTimeout, "the budget is restored", func() error {
		if now := b.content(budget); now != desired {
			return errors.New(now)
		}
		return nil
	})

	s.MaxReplicas = 1
	b.deploy(s, 1, 3)
	b.awaitPhase(name, workerapp.Running)
	b.await("the budget is deleted", func() error {
		if now := b.content(budget); now != "not found" {
			return errors.New(now)
		}
		return nil
	})
	b.waitForIdle()
	writes := len(b.writes())
	b.waitForIdle()
	require.Len(t, b.writes(), writes)
}

func TestUnmanagedBudgetIsKept(t *testing.T) {
	t.Parallel()
	b := setup(t)
	name := workerapp.Name("abc12345", "u1")
	_, err := b.admin.Typed.PolicyV1().PodDisruptionBudgets(b.worker()).Create(b.ctx(), &policyv1.PodDisruptionBudget{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: workerapp.Labels("abc12345", "u1")},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
	b.startAndSync()
	b.deploy(spec("abc12345"), 1, 1)
	b.awaitPhase(name, workerapp.Running)
	b.waitForIdle()
	_, err = b.admin.Typed.PolicyV1().PodDisruptionBudgets(b.worker()).Get(b.ctx(), name, metav1.GetOptions{})
	require.NoError(t, err)
}

func TestDisabledNetworkPolicyIsRemoved(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.startAndSync()
	name := b.deploy(spec("abc12345"), 1, 1)
	b.awaitPhase(name, workerapp.Running)
	policy := b.children(name)[6]
	require.Contains(t, b.content(policy), `"cidr":"0.0.0.0/0","except":["10.0.0.0/8"]`)
	desired := b.content(policy)
	b.patchAt(policy, `{"spec": {"egress": [{}]}}`)
	b.awaitWithin(repairTimeout, "the policy is restored", func() error {
		if now := b.content(policy); now != desired {
			return errors.New(now)
		}
		return nil
	})
	b.stop()
	b.config.Controller.NetworkPolicy.Enabled = false
	b.startAndSync()
	b.await("the policy is deleted", func() error {
		if now := b.content(policy); now != "not found" {
			return errors.New(now)
		}
		return nil
	})
}

package controller_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"app238.com/inner/modules/controller/workerapp"
)

// patchDeployment patches a Deployment as `kubectl patch` does.
func (b *bundle) patchDeployment(name, patch string) {
	b.t.Helper()
	_, err := b.admin.Typed.AppsV1().Deployments(b.worker()).Patch(b.ctx(), name, types.StrategicMergePatchType, []byte(patch),
		metav1.PatchOptions{FieldManager: "somebody"})
	require.NoError(b.t, err)
}

func TestUnmanagedFieldsOfDeploymentAreRemoved(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.startAndSync()
	name := b.deploy(spec("abc12345"), 1, 1)
	b.awaitPhase(name, workerapp.Running)
	deployment := b.children(name)[3]
	desired := b.content(deployment)
	pod := func(fields string) string { return `{"spec": {"template": {"spec": {` + fields + `}}}}` }
	for field, patch := range map[string]string{
		"sidecar":        pod(`"containers": [{"name": "sidecar", "image": "registry.test/other:1"}]`),
		"init container": pod(`"initContainers": [{"name": "first", "image": "registry.test/other:1"}]`),
		"variable":       pod(`"containers": [{"name": "` + name + `", "env": [{"name": "UNMANAGED", "value": "x"}]}]`),
		"command":        pod(`"containers": [{"name": "` + name + `", "command": ["sh"]}]`),
		"host network":   pod(`"hostNetwork": true`),
		"node":           pod(`"nodeSelector": {"kubernetes.io/hostname": "node-1"}`),
		"label":          `{"spec": {"template": {"metadata": {"labels": {"unmanaged": "x"}}}}}`,
	} {
		b.patchDeployment(name, patch)
		b.awaitWithin(repairTimeout, field+" removed", func() error {
			if now := b.content(deployment); now != desired {
				return fmt.Errorf("%s\nis not\n%s", now, desired)
			}
			return nil
		})
	}
	b.awaitPhase(name, workerapp.Running)
	b.waitForIdle()
	writes := perObject(b.writes())["deployments/"+name]
	b.patchAt(deployment, `{"metadata": {"labels": {"other": "x"}, "annotations": {"other": "x"}}}`)
	b.waitForIdle()
	require.Equal(t, writes, perObject(b.writes())["deployments/"+name], "labels and annotations of the Deployment are kept")
}

// edit is a change of an object by another field manager.
type edit struct {
	what  string
	to    childRef
	patch string
}

func (b *bundle) budget(name string) childRef {
	return childRef{policyv1.SchemeGroupVersion.WithResource("poddisruptionbudgets"), b.worker(), name}
}

func (b *bundle) edits(name string) []edit {
	children := b.children(name)
	configMap, service, external, route, policy := children[0], children[2], children[4], children[5], children[6]
	return []edit{
		{"key", configMap, `{"data": {"UNMANAGED": "x"}}`},
		{"bytes", configMap, `{"binaryData": {"UNMANAGED": "eA=="}}`},
		{"immutability", configMap, `{"immutable": true}`},
		{"unready pods", service, `{"spec": {"publishNotReadyAddresses": true}}`},
		{"port", service, `{"spec": {"ports": [{"name": "http", "port": 80, "targetPort": "http"}, {"name": "x", "port": 81}]}}`},
		{"affinity", service, `{"spec": {"sessionAffinity": "ClientIP"}}`},
		{"external address", service, `{"spec": {"externalIPs": ["192.0.2.1"]}}`},
		{"external port", external, `{"spec": {"ports": [{"name": "http", "port": 80}, {"name": "x", "port": 81}]}}`},
		{"external selector", external, `{"spec": {"selector": {"app": "other"}}}`},
		{"TLS options", route, `{"spec": {"tls": {"options": {"name": "weak"}}}}`},
		{"field of the route", route, `{"spec": {"ingressClassName": "other"}}`},
		{"rule", policy, `{"spec": {"ingress": [{}]}}`},
		{"policy's selector", policy, `{"spec": {"podSelector": {"matchLabels": {"no": "pod"}}}}`},
		{"pods of the budget", b.budget(name), `{"spec": {"selector": {"matchLabels": {"no": "pod"}}}}`},
	}
}

func TestUnmanagedFieldsOfChildrenAreRemoved(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.startAndSync()
	s := spec("abc12345")
	s.MaxReplicas = 2
	name := b.deploy(s, 1, 1)
	b.awaitPhase(name, workerapp.Running)
	for _, whileDown := range []bool{false, true} {
		for _, add := range b.edits(name) {
			desired := b.content(add.to)
			if whileDown {
				b.stop()
			}
			b.patchAt(add.to, add.patch)
			if whileDown {
				b.startAndSync()
				b.awaitRole("leading")
			}
			b.awaitWithin(repairTimeout, add.what+" removed", func() error {
				if now := b.content(add.to); now != desired {
					return fmt.Errorf("%s\nis not\n%s", now, desired)
				}
				return nil
			})
		}
	}
	b.awaitPhase(name, workerapp.Running)
	b.waitForIdle()
	writes := len(b.writes())
	children := b.children(name)
	secret := children[1]
	for _, k := range append(children, b.budget(name)) {
		if k != children[3] && k != secret {
			b.patchAt(k, `{"metadata": {"labels": {"other": "x"}, "annotations": {"other": "x"}}}`)
		}
	}
	b.patchAt(secret, `{"data": {"TOKEN": "eA=="}}`)
	b.waitForIdle()
	b.stop()
	b.startAndSync()
	b.waitForIdle()
	count := perObject(b.writes()[writes:])
	delete(count, "deployments/"+name) // its pods get the new key
	delete(count, name+"/status")
	require.Empty(t, count, "labels and annotations are kept")
	require.Equal(t, "x", string(b.secret(name).Data["TOKEN"]), "it may be a user's key")
}

func TestRolloutRestartIsNoDrift(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.startAndSync()
	name := b.deploy(spec("abc12345"), 1, 1)
	b.awaitPhase(name, workerapp.Running)
	first := b.pods(name)[0].UID
	b.patchDeployment(name,
		`{"spec": {"template": {"metadata": {"annotations": {"kubectl.kubernetes.io/restartedAt": "2026-01-02T03:04:05Z"}}}}}`)
	b.await("a new pod", func() error {
		if pods := b.pods(name); len(pods) != 1 || pods[0].UID == first {
			return fmt.Errorf("%d pods", len(pods))
		}
		return nil
	})
	b.waitForIdle()
	require.Equal(t, 2, b.templates(name))
	b.patchDeployment(name, `{"spec": {"template": {"spec": {"hostNetwork": true}}}}`)
	b.awaitWithin(repairTimeout, "the host network is removed", func() error {
		if b.deployment(name).Spec.Template.Spec.HostNetwork {
			return errors.New("not yet")
		}
		return nil
	})
	require.Equal(t, "2026-01-02T03:04:05Z", b.deployment(name).Spec.Template.Annotations["kubectl.kubernetes.io/restartedAt"])
}

func TestDeploymentOfEarlierPlatformIsAdopted(t *testing.T) {
	t.Parallel()
	b := setup(t)
	name := workerapp.Name("abc12345", "u1")
	pods := map[string]string{"app": name}
	_, err := b.admin.Typed.AppsV1().Deployments(b.worker()).Create(b.ctx(), &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: workerapp.Labels("abc12345", "u1")},
		Spec: appsv1.DeploymentSpec{Selector: &metav1.LabelSelector{MatchLabels: pods}, Template: corev1.PodTemplateSpec{
			ObjectMeta: metav1.ObjectMeta{Labels: pods},
			Spec: corev1.PodSpec{Containers: []corev1.Container{
				{Name: name, Image: healthyImage, Args: []string{"old"}}, {Name: "old", Image: healthyImage},
			}},
		}},
	}, metav1.CreateOptions{FieldManager: "earlier"})
	require.NoError(t, err)
	b.startAndSync()
	b.deploy(spec("abc12345"), 1, 1)
	b.awaitPhase(name, workerapp.Running)
	containers := b.deployment(name).Spec.Template.Spec.Containers
	require.Len(t, containers, 1)
	require.Empty(t, containers[0].Args)
	b.waitForIdle()
	writes := len(b.writes())
	b.stop()
	b.startAndSync()
	b.waitForIdle()
	require.Len(t, b.writes(), writes, "the second start writes nothing")

	b.stop()
	b.patchDeployment(name,
		`{"spec": {"template": {"spec": {"containers": [{"name": "sidecar", "image": "registry.test/other:1"}]}}}}`)
	b.startAndSync()
	b.awaitRole("leading")
	b.awaitWithin(repairTimeout, "the sidecar added while down is removed", func() error {
		if n := len(b.deployment(name).Spec.Template.Spec.Containers); n != 1 {
			return fmt.Errorf("%d containers", n)
		}
		return nil
	})
}

func TestEditBetweenTwoWritesOfARepairIsRevertedInPlace(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.startAndSync()
	name := b.deploy(spec("abc12345"), 1, 1)
	b.awaitPhase(name, workerapp.Running)
	service := b.children(name)[2]
	desired, before := b.content(service), b.service(name)
	var once sync.Once
	b.proxy.setAnswer(func(_ http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodPut && strings.HasSuffix(r.URL.Path, "/services/"+before.Name) {
			// An apply over this edit is invalid: two ports of one name.
			once.Do(func() { b.patchAt(service, `{"spec": {"ports": [{"name": "http", "port": 1}]}}`) })
		}
		return false
	})
	b.patchAt(service, `{"spec": {"selector": {"nobody": "here"}}}`)
	b.awaitWithin(repairTimeout, "restored", func() error {
		if now := b.content(service); now != desired {
			return fmt.Errorf("%s\nis not\n%s", now, desired)
		}
		return nil
	})
	b.waitForIdle()
	require.Equal(t, before.UID, b.service(name).UID, "it is never deleted: requests reach the worker through it")
}

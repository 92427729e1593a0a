package platform_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"app238.com/inner/test/realnode/network"
)

// pod is a process of the cluster that asks on behalf of a test.
type pod struct{ namespace, name, address string }

// outsider starts a pod with these labels and returns when it answers.
func (p *platform) outsider(t *testing.T, namespace, name string, labels map[string]string) pod {
	t.Helper()
	user, yes, no := int64(65532), true, false
	pods := p.Kubernetes.CoreV1().Pods(namespace)
	_, err := pods.Create(t.Context(), &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels},
		Spec: corev1.PodSpec{
			SecurityContext: &corev1.PodSecurityContext{RunAsNonRoot: &yes, RunAsUser: &user,
				SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault}},
			Containers: []corev1.Container{{
				Name: "web", Image: "localhost/web:1",
				SecurityContext: &corev1.SecurityContext{AllowPrivilegeEscalation: &no,
					Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}}},
			}},
		},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
	t.Cleanup(func() {
		require.NoError(t, pods.Delete(context.WithoutCancel(t.Context()), name, metav1.DeleteOptions{}))
	})
	one := pod{namespace: namespace, name: name}
	require.Eventually(t, func() bool {
		found, err := pods.Get(t.Context(), name, metav1.GetOptions{})
		require.NoError(t, err)
		one.address = found.Status.PodIP
		return found.Status.Phase == corev1.PodRunning && one.address != "" && one.asks(t, "/") == http.StatusOK
	}, limit, tick)
	return one
}

// asks has the pod serve a path, and returns the status, 0 where it does not answer.
func (one pod) asks(t *testing.T, path string, headers ...string) int {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+one.address+":8080"+path, nil)
	require.NoError(t, err)
	for i := 0; i+1 < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0
	}
	_, _ = io.Copy(io.Discard, response.Body)
	_ = response.Body.Close()
	return response.StatusCode
}

func (one pod) fetches(t *testing.T, address string, headers ...string) int {
	t.Helper()
	return one.asks(t, "/fetch?url="+url.QueryEscape(address), headers...)
}

func (one pod) dials(t *testing.T, address string) bool {
	t.Helper()
	return one.asks(t, "/dial?address="+url.QueryEscape(address)) == http.StatusOK
}

// testReach tries who reaches whom, and who gets a user's secret.
func testReach(t *testing.T, p *platform) {
	for _, id := range []string{"reach1", "reach2"} {
		p.awaitVersion(t, p.deploy(t, p.worker(t, id, 1), "1", 8080), "success")
	}
	first, second := worker{id: "reach1"}, worker{id: "reach2"}
	pods, others := p.pods(t, first), p.pods(t, second)
	require.Len(t, pods, 1)
	require.Len(t, others, 1)
	inside := pod{namespace: "worker", address: pods[0].Status.PodIP}
	require.Eventually(t, func() bool { return inside.asks(t, "/") == http.StatusOK }, limit, tick)
	api, err := p.Kubernetes.CoreV1().Services("default").Get(t.Context(), "kubernetes", metav1.GetOptions{})
	require.NoError(t, err)

	internet, err := net.Listen("tcp", net.JoinHostPort(network.Internet, "8443"))
	require.NoError(t, err)
	defer func() { _ = internet.Close() }()
	combinator := p.outsider(t, "combinator", "combinator", map[string]string{"app": "combinator"})
	stranger := p.outsider(t, "combinator", "stranger", map[string]string{"app": "other"})
	outer := p.outsider(t, "console", "outer", map[string]string{"app": "control-plane-outer"})
	beside := p.outsider(t, "console", "beside", map[string]string{"app": "other"})

	const secret = "/api/combinator/retrieveSecretByID?user_id=u1"
	require.Eventually(t, func() bool { return combinator.fetches(t, innerURL+secret) == http.StatusOK }, limit, tick, "Combinator")
	require.Equal(t, http.StatusOK, outer.fetches(t, "http://control-plane-inner.console.svc.cluster.local:9901/healthz"), "Outer")
	require.Equal(t, http.StatusForbidden, outer.fetches(t, innerURL+secret), "Outer gets no secret")
	require.Equal(t, http.StatusForbidden, outer.fetches(t, innerURL+secret, "X-Forwarded-For", combinator.address, "X-Real-Ip",
		combinator.address), "a header makes no Combinator")
	for name, one := range map[string]pod{"a worker": inside, "a pod in combinator": stranger, "a pod in console": beside} {
		require.NotEqual(t, http.StatusOK, one.fetches(t, innerURL+"/healthz"), "%s does not reach Inner", name)
		require.NotEqual(t, http.StatusOK, one.fetches(t, innerURL+secret), name)
	}
	// The node itself, which policies let in.
	response, err := http.Get(innerURL + secret)
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	require.Equal(t, http.StatusForbidden, response.StatusCode, "the host gets no secret")

	p.requireCutOff(t, net.JoinHostPort(network.Internet, "8443"))
	require.True(t, inside.dials(t, net.JoinHostPort(network.Internet, "8443")), "a worker reaches the Internet")
	require.True(t, inside.dials(t, combinator.address+":8080"), "a worker reaches Combinator")
	// The node's firewall makes its rules anew whenever a pod comes or goes, and lets a connection through at such a moment.
	for name, address := range map[string]string{
		"another worker":           others[0].Status.PodIP + ":8080",
		"another worker's name":    second.name() + "-http.worker.svc.cluster.local:80",
		"the API server":           net.JoinHostPort(api.Spec.ClusterIP, "443"),
		"the kubelet":              network.Node + ":10250",
		"the database":             network.Node + ":" + p.databasePort(t),
		"Outer":                    outer.address + ":8080",
		"the metadata service":     "169.254.169.254:80",
		"another metadata service": "168.63.129.16:80",
	} {
		require.Eventually(t, func() bool { return !inside.dials(t, address) }, limit, tick, "a worker reaches %s", name)
	}
}

// requireCutOff checks that a worker's pod without a policy, as one that stops after its worker was deleted, reaches nobody.
func (p *platform) requireCutOff(t *testing.T, address string) {
	t.Helper()
	leaving := p.outsider(t, "worker", "leaving", map[string]string{"worker-id": "leaving"})
	require.Eventually(t, func() bool { return !leaving.dials(t, address) }, limit, tick)
}

func (p *platform) databasePort(t *testing.T) string {
	t.Helper()
	dsn, err := url.Parse(p.DSN)
	require.NoError(t, err)
	return dsn.Port()
}

package realnode_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"app238.com/inner/test/realnode/network"
)

func testIngress(t *testing.T, f fixture) {
	f.deploy(t, "served", "the worker's own words")
	f.route(t, "served")
	require.Eventually(t, func() bool {
		answer, err := get(t.Context(), "http://"+network.Internet, "served.example.test")
		return err == nil && answer == "the worker's own words"
	}, limit, tick)
}

func testPolicy(t *testing.T, f fixture) {
	f.deploy(t, "server", "the server's words")
	f.deploy(t, "client", "the client's words")
	server, client := f.pod(t, "server"), f.pod(t, "client")
	at := "http://" + server.Status.PodIP + ":8080"
	fetch := "http://" + client.Status.PodIP + ":8080/fetch?url=" + url.QueryEscape(at)

	require.Eventually(t, func() bool {
		answer, err := get(t.Context(), fetch, "")
		return err == nil && answer == "the server's words"
	}, limit, tick, "pods do not reach one another")
	_, err := f.Kubernetes.NetworkingV1().NetworkPolicies(workers).Create(t.Context(), &networkingv1.NetworkPolicy{
		ObjectMeta: metav1.ObjectMeta{Name: "server"},
		Spec: networkingv1.NetworkPolicySpec{
			PodSelector: metav1.LabelSelector{MatchLabels: map[string]string{"app": "server"}},
			Ingress: []networkingv1.NetworkPolicyIngressRule{{From: []networkingv1.NetworkPolicyPeer{{
				NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{corev1.LabelMetadataName: ingress}},
			}}}},
			PolicyTypes: []networkingv1.PolicyType{networkingv1.PolicyTypeIngress},
		},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		_, err := get(t.Context(), fetch, "")
		return errors.Is(err, errBadGateway)
	}, limit, tick, "the policy is not enforced")
	// The node itself, and with it the ingress, is let in.
	answer, err := get(t.Context(), at, "")
	require.NoError(t, err)
	require.Equal(t, "the server's words", answer)
}

func testDatabaseAndNames(t *testing.T, f fixture) {
	f.deploy(t, "named", "words by name")
	pod := "http://" + f.pod(t, "named").Status.PodIP + ":8080"

	dsn, err := url.Parse(f.DSN)
	require.NoError(t, err)
	_, err = get(t.Context(), pod+"/dial?address="+url.QueryEscape(dsn.Host), "")
	require.NoError(t, err, "the database")

	require.Eventually(t, func() bool {
		answer, err := get(t.Context(), pod+"/fetch?url="+url.QueryEscape("http://named-http"), "")
		return err == nil && answer == "words by name"
	}, limit, tick, "a pod does not reach a Service by its name")
	require.Eventually(t, func() bool {
		answer, err := get(t.Context(), "http://named-http."+workers+".svc.cluster.local", "")
		return err == nil && answer == "words by name"
	}, limit, tick, "the node does not reach a Service by its name")
}

// testOwnNetwork tries to leave the network of the node.
func testOwnNetwork(t *testing.T, _ fixture) {
	routes, err := os.ReadFile("/proc/net/route")
	require.NoError(t, err)
	var ways []string
	for line := range strings.Lines(string(routes)) {
		if fields := strings.Fields(line); len(fields) > 1 && fields[1] == "00000000" {
			ways = append(ways, fields[0])
		}
	}
	require.Equal(t, []string{"wan"}, ways)
	interfaces, err := net.Interfaces()
	require.NoError(t, err)
	for _, found := range interfaces {
		require.False(t, strings.HasPrefix(found.Name, "e"), "%s is the machine's", found.Name)
	}
}

var errBadGateway = errors.New("bad gateway")

// get asks an HTTP server, by another host than the address's if one is given.
func get(ctx context.Context, address, host string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return "", err
	}
	request.Host = host
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Do(request)
	if err != nil {
		return "", err
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	switch {
	case err != nil:
		return "", err
	case response.StatusCode == http.StatusBadGateway:
		return "", fmt.Errorf("%w: %s", errBadGateway, body)
	case response.StatusCode != http.StatusOK:
		return "", errors.New(response.Status)
	}
	return strings.TrimSpace(string(body)), nil
}

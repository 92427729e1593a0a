package chart_test

import (
	"maps"
	"testing"

	"github.com/stretchr/testify/require"
)

// pod returns the spec of the Deployment's pods.
func pod(all map[string]object, namespace string) object {
	return at(all["Deployment/"+namespace+"/inner-gateway"], "spec", "template", "spec")
}

// environments returns the variables of each container.
func environments(all map[string]object) map[string]object {
	found := map[string]object{}
	for _, list := range []string{"initContainers", "containers"} {
		for name, container := range byName(pod(all, "console")[list]) {
			c, _ := container.(object)
			found[name] = byName(c["env"])
		}
	}
	return found
}

// TestBothContainersHaveTheVariablesOfTLS has the settings name a client authority, which requires a certificate.
func TestBothContainersHaveTheVariablesOfTLS(t *testing.T) {
	t.Parallel()
	values := maps.Clone(minimal)
	values["tls"] = object{"enabled": true, "clientCA": "ca.crt"}
	values["metricsPort"] = object{"enabled": true}
	found := environments(byHelm(t, values, "default"))
	require.Len(t, found, 2)
	for name, environment := range found {
		for variable, file := range map[string]string{"CERTIFICATE": "tls.crt", "KEY": "tls.key", "CLIENTCA": "ca.crt"} {
			require.Equal(t, "/etc/inner/tls/"+file, at(environment, "INNER_HTTP_TLS_"+variable)["value"], name)
		}
	}
	require.NotContains(t, found["migrate"], "INNER_HTTP_METRICSLISTEN", "it listens nowhere")
	values["tls"] = object{"enabled": true}
	for name, environment := range environments(byHelm(t, values, "default")) {
		require.Contains(t, environment, "INNER_HTTP_TLS_KEY", name)
		require.NotContains(t, environment, "INNER_HTTP_TLS_CLIENTCA", name)
	}
}

func TestPodAccessIsInTheNamespacesOfItsValue(t *testing.T) {
	t.Parallel()
	values := maps.Clone(minimal)
	values["podAccess"] = object{"enabled": true, "namespaces": []any{"outer", "combinator"}}
	all := byHelm(t, values, "default")
	for _, namespace := range []string{"outer", "combinator"} {
		require.Contains(t, all, "Role/"+namespace+"/inner-gateway-pod-access")
		binding := all["RoleBinding/"+namespace+"/inner-gateway-pod-access"]
		require.Equal(t, []any{object{"kind": "ServiceAccount", "name": "inner-gateway", "namespace": "console"}}, binding["subjects"])
	}
	require.NotContains(t, all, "Role/console/inner-gateway-pod-access")
	require.Contains(t, all, "Role/combinator/inner-gateway")
}

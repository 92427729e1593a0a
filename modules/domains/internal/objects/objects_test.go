package objects_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/validation"

	"app238.com/inner/modules/domains/internal/objects"
)

var domain = objects.Domain{CDID: "0a1b2c3d", UserUID: "u1", Host: "www.example.com", Target: "w1.worker.platform.test"}

func build(t *testing.T, k objects.Kind, d objects.Domain) *unstructured.Unstructured {
	t.Helper()
	u, err := objects.Builder{Namespace: "ingress", Issuer: "zerossl-issuer"}.Build(k, d)
	require.NoError(t, err)
	return u
}

func TestObjectsAreAsTheContractDefines(t *testing.T) {
	t.Parallel()
	for _, k := range objects.Kinds() {
		u := build(t, k, domain)
		require.Equal(t, "custom-domain-0a1b2c3d", u.GetName())
		require.Equal(t, "ingress", u.GetNamespace())
		require.Equal(t, map[string]string{"app": "custom-domain", "user-uid": "u1"}, u.GetLabels())
	}
	spec := build(t, objects.Services(), domain).Object["spec"]
	require.Equal(t, map[string]any{"type": "ExternalName", "externalName": "w1.worker.platform.test",
		"ports": []any{map[string]any{"name": "https", "port": int64(443), "protocol": "TCP"}}}, spec)
	certificate := build(t, objects.Certificates(), domain).Object
	for path, want := range map[string]string{
		"secretName": "custom-domain-tls-0a1b2c3d", "issuerRef.name": "zerossl-issuer", "issuerRef.kind": "ClusterIssuer",
	} {
		got, _, err := unstructured.NestedString(certificate, append([]string{"spec"}, strings.Split(path, ".")...)...)
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	route := build(t, objects.Routes(), domain).Object["spec"]
	require.Equal(t, map[string]any{
		"entryPoints": []any{"websecure"},
		"routes": []any{map[string]any{"match": "Host(`www.example.com`)", "kind": "Rule", "services": []any{map[string]any{
			"name": "custom-domain-0a1b2c3d", "port": int64(443), "scheme": "https", "passHostHeader": false}}}},
		"tls": map[string]any{"secretName": "custom-domain-tls-0a1b2c3d"},
	}, route)
}

func TestNamesAreValidAndUnique(t *testing.T) {
	t.Parallel()
	seen := map[string]string{}
	for _, cdid := range []string{
		"0a1b2c3d", "tls-a", "A", "a", "a_b", "a-b", strings.Repeat("a", 64), strings.Repeat("a", 63) + "b",
	} {
		for _, name := range []string{objects.Name(cdid), objects.SecretName(cdid)} {
			require.Empty(t, validation.IsDNS1035Label(name), name)
			require.Empty(t, seen[name], "%s and %s", cdid, seen[name])
			seen[name] = cdid
		}
	}
	long := domain
	long.UserUID = strings.Repeat("u", 64)
	u := build(t, objects.Services(), long)
	require.Empty(t, validation.IsValidLabelValue(u.GetLabels()["user-uid"]))
	require.Equal(t, long.UserUID, u.GetAnnotations()[objects.UserAnnotation])
}

func TestReadinessIsTheReadyCondition(t *testing.T) {
	t.Parallel()
	certificate := func(conditions ...any) *unstructured.Unstructured {
		return &unstructured.Unstructured{Object: map[string]any{"status": map[string]any{"conditions": conditions}}}
	}
	require.Equal(t, "not issued yet", objects.Readiness(nil))
	require.Equal(t, "not issued yet", objects.Readiness(certificate()))
	issuing, ready := map[string]any{"type": "Issuing", "status": "True"}, map[string]any{"type": "Ready", "status": "True"}
	require.Equal(t, "ready", objects.Readiness(certificate(issuing, ready)))
	failed := map[string]any{
		"type": "Ready", "status": "False", "message": "no account", "lastTransitionTime": "2026-03-01T12:00:00Z",
	}
	require.Equal(t, "not ready: no account", objects.Readiness(certificate(failed)))
	require.Equal(t, "not issued yet", objects.Readiness(certificate(issuing)))
	for _, malformed := range []any{
		"no object", map[string]any{"type": "Issuing", "lastTransitionTime": "yesterday"}, map[string]any{"type": int64(1)},
	} {
		require.Equal(t, "ready", objects.Readiness(certificate(malformed, ready)), "%v", malformed)
		require.Equal(t, "not ready: no account", objects.Readiness(certificate(failed, malformed)), "%v", malformed)
	}
}

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

func TestTheObjectsAreTheContracts(t *testing.T) {
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
	for path, want := range map[string]string{"secretName": "custom-domain-tls-0a1b2c3d", "issuerRef.name": "zerossl-issuer", "issuerRef.kind": "ClusterIssuer"} {
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

func TestNamesAreValidAndNeverMeet(t *testing.T) {
	t.Parallel()
	seen := map[string]string{}
	for _, cdid := range []string{"0a1b2c3d", "tls-a", "A", "a", "a_b", "a-b", strings.Repeat("a", 64), strings.Repeat("a", 63) + "b"} {
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

func TestOnlyWhatApplyWouldChangeDiffers(t *testing.T) {
	t.Parallel()
	for _, k := range objects.Kinds() {
		require.True(t, objects.Differs(build(t, k, domain), nil))
		live := build(t, k, domain)
		live.SetResourceVersion("7")
		live.SetAnnotations(map[string]string{"foreign": "x", objects.IDAnnotation: domain.CDID, objects.UserAnnotation: "u1"})
		require.NoError(t, unstructured.SetNestedField(live.Object, "x", "status", "foreign"))
		require.NoError(t, unstructured.SetNestedField(live.Object, "x", "spec", "defaulted"))
		require.False(t, objects.Differs(build(t, k, domain), live), k.Name)
		live.SetLabels(map[string]string{"app": "custom-domain"})
		require.True(t, objects.Differs(build(t, k, domain), live), k.Name)
	}
	service := build(t, objects.Services(), domain)
	setInFirst(t, service, "targetPort", int64(443), "spec", "ports")
	require.False(t, objects.Differs(build(t, objects.Services(), domain), service), "the API server's default")
	route := build(t, objects.Routes(), domain)
	setInFirst(t, route, "middlewares", []any{}, "spec", "routes")
	require.True(t, objects.Differs(build(t, objects.Routes(), domain), route), "a list that the API replaces as a whole")
	other := domain
	other.Target = "w2.worker.platform.test"
	require.True(t, objects.Differs(build(t, objects.Services(), other), build(t, objects.Services(), domain)))
}

// setInFirst sets a field of the first element of a list.
func setInFirst(t *testing.T, u *unstructured.Unstructured, field string, value any, list ...string) {
	t.Helper()
	elements, _, err := unstructured.NestedSlice(u.Object, list...)
	require.NoError(t, err)
	first, ok := elements[0].(map[string]any)
	require.True(t, ok)
	first[field] = value
	require.NoError(t, unstructured.SetNestedSlice(u.Object, elements, list...))
}

func TestReadinessIsCertManagersCondition(t *testing.T) {
	t.Parallel()
	certificate := func(conditions ...any) *unstructured.Unstructured {
		return &unstructured.Unstructured{Object: map[string]any{"status": map[string]any{"conditions": conditions}}}
	}
	require.Equal(t, "not issued yet", objects.Readiness(nil))
	require.Equal(t, "not issued yet", objects.Readiness(certificate()))
	require.Equal(t, "ready", objects.Readiness(certificate(map[string]any{"type": "Issuing", "status": "True"}, map[string]any{"type": "Ready", "status": "True"})))
	require.Equal(t, "not ready: no account", objects.Readiness(certificate(map[string]any{"type": "Ready", "status": "False", "message": "no account"})))
}

package drift_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"app238.com/inner/app/kube"
	"app238.com/inner/app/kube/drift"
)

func entry(manager, subresource, fields string) metav1.ManagedFieldsEntry {
	e := metav1.ManagedFieldsEntry{Manager: manager, Subresource: subresource, FieldsV1: &metav1.FieldsV1{}}
	e.FieldsV1.SetRawString(fields)
	e.Operation = metav1.ManagedFieldsOperationUpdate
	if manager == kube.FieldManager {
		e.Operation = metav1.ManagedFieldsOperationApply
	}
	return e
}

// annotated returns an object with these managed fields as a cache holds it.
func annotated(t *testing.T, content map[string]any, entries ...metav1.ManagedFieldsEntry) map[string]any {
	t.Helper()
	u := &unstructured.Unstructured{Object: content}
	u.SetAnnotations(map[string]string{"keep": "1"})
	u.SetManagedFields(entries)
	for range 2 { // listed objects are transformed twice
		drift.Annotate(u)
	}
	require.Empty(t, u.GetManagedFields())
	require.Equal(t, "1", u.GetAnnotations()["keep"])
	return u.Object
}

func TestFieldsOwnedByOthersOnlyAreUnmanaged(t *testing.T) {
	t.Parallel()
	ours := entry(kube.FieldManager, "",
		`{"f:data": {"f:a": {}}, "f:spec": {"f:replicas": {}, "f:template": {"f:spec": {"f:containers": {"k:{\"name\":\"n\"}": {".": {}, "f:image": {}}}}}}}`)
	for name, test := range map[string]struct {
		other     []metav1.ManagedFieldsEntry
		unmanaged bool
	}{
		"nobody else":     {nil, false},
		"the same fields": {[]metav1.ManagedFieldsEntry{entry("x", "", `{"f:spec": {"f:replicas": {}}}`)}, false},
		"a label":         {[]metav1.ManagedFieldsEntry{entry("x", "", `{"f:metadata": {"f:labels": {"f:a": {}}}}`)}, false},
		"status": {[]metav1.ManagedFieldsEntry{entry("x", "status",
			`{"f:status": {"f:replicas": {}}, "f:spec": {"f:y": {}}}`)}, false},
		"restart": {[]metav1.ManagedFieldsEntry{entry("x", "",
			`{"f:spec": {"f:template": {"f:metadata": {"f:annotations": {"f:kubectl.kubernetes.io/restartedAt": {}}}}}}`)}, false},
		"no fields":  {[]metav1.ManagedFieldsEntry{{Manager: "x"}}, false},
		"unreadable": {[]metav1.ManagedFieldsEntry{entry("x", "", `{"f:spec": 1}`)}, false},
		"another container": {[]metav1.ManagedFieldsEntry{entry("x", "",
			`{"f:spec": {"f:template": {"f:spec": {"f:containers": {"k:{\"name\":\"s\"}": {".": {}}}}}}}`)}, true},
		"another field": {[]metav1.ManagedFieldsEntry{entry("x", "", `{"f:spec": {"f:replicas": {}, "f:minReadySeconds": {}}}`)},
			true},
		"subresource":      {[]metav1.ManagedFieldsEntry{entry("x", "scale", `{"f:spec": {"f:paused": {}}}`)}, true},
		"another key":      {[]metav1.ManagedFieldsEntry{entry("x", "", `{"f:data": {"f:b": {}}}`)}, true},
		"outside the spec": {[]metav1.ManagedFieldsEntry{entry("x", "", `{"f:immutable": {}}`)}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, test.unmanaged, drift.HasUnmanaged(annotated(t, map[string]any{}, append(test.other, ours)...)))
		})
	}
	require.True(t, drift.HasUnmanaged(annotated(t, map[string]any{})), "no managed fields")
	require.True(t, drift.HasUnmanaged(annotated(t, map[string]any{}, entry("x", "", `{"f:spec": {"f:replicas": {}}}`))),
		"no fields of Inner")
	require.False(t, drift.HasUnmanaged(nil))
}

func TestEmptyObjectHasNoUnmanagedFields(t *testing.T) {
	t.Parallel()
	metadata := entry(kube.FieldManager, "", `{"f:metadata": {"f:labels": {"f:app": {}}}}`)
	content := func() map[string]any { return map[string]any{"apiVersion": "v1", "kind": "ConfigMap"} }
	require.False(t, drift.HasUnmanaged(annotated(t, content(), metadata)))
	require.True(t, drift.HasUnmanaged(annotated(t, content(), metadata, entry("x", "", `{"f:data": {"f:a": {}}}`))))
	require.True(t, drift.HasUnmanaged(annotated(t, content())), "Inner never applied it")
}

// parse returns an object with this JSON as its spec, numbers as int64 or float64.
func parse(t *testing.T, text string) map[string]any {
	t.Helper()
	u := &unstructured.Unstructured{}
	require.NoError(t,
		u.UnmarshalJSON([]byte(`{"apiVersion": "v1", "kind": "Any", "metadata": {"labels": {"app": "n"}}, "spec": `+text+`}`)))
	return u.Object
}

func TestDiffersReportsEditsByOthersOnly(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		desired, owned, live string
		differs              bool
	}{
		"equal":                           {`{"a": {"b": 1}}`, `{"f:a": {"f:b": {}}}`, `{"a": {"b": 1}}`, false},
		"with defaults":                   {`{"a": {"b": 1}}`, `{"f:a": {"f:b": {}}}`, `{"a": {"b": 1, "c": 2}}`, false},
		"normalized by the API":           {`{"a": {"cpu": "0.0005"}}`, `{"f:a": {"f:cpu": {}}}`, `{"a": {"cpu": "1m"}}`, false},
		"removed":                         {`{"a": {"b": 1, "c": 2}}`, `{"f:a": {"f:c": {}}}`, `{"a": {"c": 2}}`, true},
		"removed as a whole":              {`{"a": {"b": 1}}`, `{"f:z": {}}`, `{}`, true},
		"removed by a webhook":            {`{"a": {"b": 1}}`, `{"f:a": {"f:b": {}}}`, `{"a": {}}`, false},
		"left out by the API":             {`{"paused": false, "e": {}}`, `{"f:paused": {}, "f:e": {}}`, `{}`, false},
		"removed as a whole by a webhook": {`{"selector": {"app": "n"}}`, `{"f:selector": {}}`, `{}`, false},
		"list removed":                    {`{"args": ["a"]}`, `{"f:z": {}}`, `{}`, true},
		"list changed by a hook":          {`{"args": ["a"]}`, `{"f:args": {}}`, `{"args": ["b", "c"]}`, false},
		"element removed": {`{"ports": [{"port": 80, "protocol": "TCP"}]}`, `{"f:z": {}}`,
			`{"ports": [{"port": 81, "protocol": "TCP"}]}`, true},
		"element with defaults": {`{"ports": [{"port": 80, "protocol": "TCP"}]}`,
			`{"f:ports": {"k:{\"port\":80,\"protocol\":\"TCP\"}": {".": {}, "f:port": {}}}}`,
			`{"ports": [{"port": 80, "protocol": "TCP", "targetPort": 80}]}`, false},
		"element removed by a hook": {`{"ports": [{"port": 80, "protocol": "TCP"}]}`,
			`{"f:ports": {"k:{\"port\":80,\"protocol\":\"TCP\"}": {".": {}, "f:port": {}, "f:protocol": {}}}}`,
			`{"ports": [{"port": 81, "protocol": "TCP"}]}`, false},
		"field of an element lost": {`{"containers": [{"name": "n", "image": "i"}]}`,
			`{"f:containers": {"k:{\"name\":\"n\"}": {".": {}, "f:name": {}}}}`, `{"containers": [{"name": "n"}]}`, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			live := annotated(t, parse(t, test.live), entry(kube.FieldManager, "", `{"f:spec": `+test.owned+`}`))
			require.Equal(t, test.differs, drift.Differs(parse(t, test.desired), live))
		})
	}
}

func TestMetadataIsComparedByValue(t *testing.T) {
	t.Parallel()
	desired := func() *unstructured.Unstructured {
		u := &unstructured.Unstructured{Object: parse(t, `{"a": 1}`)}
		u.SetOwnerReferences([]metav1.OwnerReference{{Name: "n", UID: "1"}})
		require.NoError(t, drift.SetHash(u))
		return u
	}
	ours := entry(kube.FieldManager, "", `{"f:spec": {"f:a": {}}}`)
	for name, test := range map[string]struct {
		change  func(live *unstructured.Unstructured)
		differs bool
	}{
		"equal":      {func(*unstructured.Unstructured) {}, false},
		"one more":   {func(u *unstructured.Unstructured) { u.SetLabels(map[string]string{"app": "n", "x": "y"}) }, false},
		"label":      {func(u *unstructured.Unstructured) { u.SetLabels(map[string]string{"app": "other"}) }, true},
		"annotation": {func(u *unstructured.Unstructured) { u.SetAnnotations(nil) }, true},
		"owner": {func(u *unstructured.Unstructured) {
			u.SetOwnerReferences([]metav1.OwnerReference{{Name: "n", UID: "2"}})
		}, true},
		"second owner": {func(u *unstructured.Unstructured) {
			u.SetOwnerReferences(append(u.GetOwnerReferences(), metav1.OwnerReference{UID: "2"}))
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			live := desired()
			test.change(live)
			live.SetManagedFields([]metav1.ManagedFieldsEntry{ours})
			drift.Annotate(live)
			require.Equal(t, test.differs, drift.Differs(desired().Object, live.Object))
		})
	}
	changed := desired()
	require.NoError(t, unstructured.SetNestedField(changed.Object, "b", "spec", "b"))
	require.NoError(t, drift.SetHash(changed))
	live := desired()
	live.SetManagedFields([]metav1.ManagedFieldsEntry{ours})
	drift.Annotate(live)
	require.True(t, drift.Differs(changed.Object, live.Object))
	require.True(t, drift.Differs(changed.Object, nil), "a missing object differs")
}

func TestObjectsWithoutAnnotationAreComparedByValue(t *testing.T) {
	t.Parallel()
	require.False(t, drift.Differs(parse(t, `{"a": "1"}`), parse(t, `{"a": "1", "b": "2"}`)))
	require.True(t, drift.Differs(parse(t, `{"a": "1"}`), parse(t, `{"a": "2"}`)))
	require.True(t, drift.Differs(parse(t, `{"a": "1"}`), parse(t, `{}`)))
}

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

// noted returns an object of Inner's in whose managed fields others stand too, as a cache has it.
func noted(t *testing.T, content map[string]any, entries ...metav1.ManagedFieldsEntry) map[string]any {
	t.Helper()
	u := &unstructured.Unstructured{Object: content}
	u.SetAnnotations(map[string]string{"keep": "1"})
	u.SetManagedFields(entries)
	for range 2 { // what is listed comes by twice
		drift.Note(u)
	}
	require.Empty(t, u.GetManagedFields())
	require.Equal(t, "1", u.GetAnnotations()["keep"])
	return u.Object
}

func TestForeignIsWhatOnlyOthersOwn(t *testing.T) {
	t.Parallel()
	ours := entry(kube.FieldManager, "", `{"f:data": {"f:a": {}}, "f:spec": {"f:replicas": {}, "f:template": {"f:spec": {"f:containers": {"k:{\"name\":\"n\"}": {".": {}, "f:image": {}}}}}}}`)
	for name, test := range map[string]struct {
		others  []metav1.ManagedFieldsEntry
		foreign bool
	}{
		"nobody else":       {nil, false},
		"the same fields":   {[]metav1.ManagedFieldsEntry{entry("x", "", `{"f:spec": {"f:replicas": {}}}`)}, false},
		"a note":            {[]metav1.ManagedFieldsEntry{entry("x", "", `{"f:metadata": {"f:labels": {"f:a": {}}}}`)}, false},
		"status":            {[]metav1.ManagedFieldsEntry{entry("x", "status", `{"f:status": {"f:replicas": {}}, "f:spec": {"f:y": {}}}`)}, false},
		"restart":           {[]metav1.ManagedFieldsEntry{entry("x", "", `{"f:spec": {"f:template": {"f:metadata": {"f:annotations": {"f:kubectl.kubernetes.io/restartedAt": {}}}}}}`)}, false},
		"no fields":         {[]metav1.ManagedFieldsEntry{{Manager: "x"}}, false},
		"unreadable":        {[]metav1.ManagedFieldsEntry{entry("x", "", `{"f:spec": 1}`)}, false},
		"another container": {[]metav1.ManagedFieldsEntry{entry("x", "", `{"f:spec": {"f:template": {"f:spec": {"f:containers": {"k:{\"name\":\"s\"}": {".": {}}}}}}}`)}, true},
		"another field":     {[]metav1.ManagedFieldsEntry{entry("x", "", `{"f:spec": {"f:replicas": {}, "f:minReadySeconds": {}}}`)}, true},
		"a scaling":         {[]metav1.ManagedFieldsEntry{entry("x", "scale", `{"f:spec": {"f:paused": {}}}`)}, true},
		"another key":       {[]metav1.ManagedFieldsEntry{entry("x", "", `{"f:data": {"f:b": {}}}`)}, true},
		"outside the spec":  {[]metav1.ManagedFieldsEntry{entry("x", "", `{"f:immutable": {}}`)}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, test.foreign, drift.Foreign(noted(t, map[string]any{}, append(test.others, ours)...)))
		})
	}
	require.True(t, drift.Foreign(noted(t, map[string]any{})), "nobody knows who made it")
	require.True(t, drift.Foreign(noted(t, map[string]any{}, entry("x", "", `{"f:spec": {"f:replicas": {}}}`))), "somebody else made it")
	require.False(t, drift.Foreign(nil))
}

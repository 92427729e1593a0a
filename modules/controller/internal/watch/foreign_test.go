package watch

import (
	"testing"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"app238.com/inner/app/kube"
)

func entry(manager, subresource, fields string) metav1.ManagedFieldsEntry {
	e := metav1.ManagedFieldsEntry{Manager: manager, Subresource: subresource, FieldsV1: &metav1.FieldsV1{}}
	e.FieldsV1.SetRawString(fields)
	return e
}

func TestForeignFieldsAreThoseOfTheSpecThatOnlyOthersOwn(t *testing.T) {
	t.Parallel()
	ours := entry(kube.FieldManager, "", `{"f:spec": {"f:replicas": {}, "f:template": {"f:spec": {"f:containers": {"k:{\"name\":\"n\"}": {".": {}, "f:image": {}}}}}}}`)
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
		"unreadable":        {[]metav1.ManagedFieldsEntry{entry("x", "", `[`)}, false},
		"another container": {[]metav1.ManagedFieldsEntry{entry("x", "", `{"f:spec": {"f:template": {"f:spec": {"f:containers": {"k:{\"name\":\"s\"}": {".": {}}}}}}}`)}, true},
		"another field":     {[]metav1.ManagedFieldsEntry{entry("x", "", `{"f:spec": {"f:replicas": {}, "f:minReadySeconds": {}}}`)}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{
				Annotations:   map[string]string{ForeignAnnotation: "by hand"},
				ManagedFields: append(test.others, ours),
			}}
			for range 2 { // what is listed is stripped twice
				_, err := strip(d)
				require.NoError(t, err)
			}
			require.Empty(t, d.ManagedFields)
			want := map[bool]string{true: "true"}[test.foreign]
			require.Equal(t, want, d.Annotations[ForeignAnnotation])
		})
	}
}

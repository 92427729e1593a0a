package workerapp_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"app238.com/inner/modules/controller/workerapp"
)

// FuzzRead reads WorkerApps with arbitrary content. Accepted ones have valid object names; others have an invalid spec.
func FuzzRead(f *testing.F) {
	for _, spec := range []string{
		`{"workerID":"w","ownerID":"u","image":"i","port":80}`, `{"port":"80"}`, `{"port":1.5}`, `[]`, `null`, `{"workerID":{"a":[]}}`,
	} {
		f.Add(spec, `{"phase":"Running","conditions":[{}]}`)
	}
	f.Fuzz(func(t *testing.T, spec, status string) {
		object := &unstructured.Unstructured{}
		err := object.UnmarshalJSON([]byte(`{"apiVersion":"console.app238.com/v1","kind":"WorkerApp","metadata":{"name":"x"},"spec":` +
			spec + `,"status":` + status + `}`))
		if err != nil {
			return
		}
		app, err := workerapp.FromUnstructured(object)
		require.NotNil(t, app)
		if err == nil {
			again, err := workerapp.FromUnstructured(workerapp.ToApply("ns", app.Spec, workerapp.Origin{Version: 1, Task: 2}))
			require.NoError(t, err)
			require.Equal(t, app.Spec, again.Spec)
		}
	})
}

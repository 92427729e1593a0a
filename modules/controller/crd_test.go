package controller_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	"app238.com/inner/app/kube"
	"app238.com/inner/modules/controller/workerapp"
)

func TestCRDRejectsInvalidFields(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for field, values := range map[string][]any{
		"workerID":       {"", "-x", "a b"},
		"ownerID":        {"", "x-"},
		"image":          {"", "a b", "a\nb"},
		"port":           {int64(0), int64(65536)},
		"assignedCPU":    {"abc", "-1", "0"},
		"assignedMemory": {"lots"},
		"assignedDisk":   {"1Xi"},
		"maxReplicas":    {int64(-1)},
	} {
		for _, value := range values {
			u := workerapp.ToApply(b.worker(), spec("abc12345"), workerapp.Origin{Version: 1, Task: 1})
			require.NoError(t, unstructured.SetNestedField(u.Object, value, "spec", field))
			_, err := b.admin.Apply(b.ctx(), workerapp.Resource(), u)
			require.True(t, apierrors.IsInvalid(err), "%s: %v: %v", field, value, err)
			require.Contains(t, kube.InvalidFields(err), "spec."+field)
		}
	}
	for _, empty := range []workerapp.Spec{{}, {MainRegion: "global"}} {
		s := spec("abc12345")
		s.AssignedCPU, s.AssignedMemory, s.AssignedDisk, s.MaxReplicas, s.MainRegion = "", "", "", 0, empty.MainRegion
		b.deploy(s, 1, 1)
	}
}

func TestWorkerAppIDsAreImmutable(t *testing.T) {
	t.Parallel()
	b := setup(t)
	name := b.deploy(spec("abc12345"), 1, 1)
	for _, field := range []string{"workerID", "ownerID"} {
		_, err := b.admin.Dynamic.Resource(workerapp.Resource()).Namespace(b.worker()).Patch(b.ctx(), name, types.MergePatchType,
			[]byte(`{"spec": {"`+field+`": "other"}}`), metav1.PatchOptions{})
		require.ErrorContains(t, err, "cannot be changed")
	}
}

func TestCRDDefaultsMatchContract(t *testing.T) {
	t.Parallel()
	b := setup(t)
	u := &unstructured.Unstructured{Object: map[string]any{"spec": map[string]any{
		"workerID": "abc12345", "ownerID": "u1", "image": healthyImage, "port": int64(8080),
	}}}
	u.SetGroupVersionKind(workerapp.GroupVersion().WithKind(workerapp.Kind))
	u.SetName("w-abc12345-u1")
	made, err := b.admin.Dynamic.Resource(workerapp.Resource()).Namespace(b.worker()).Create(b.ctx(), u, metav1.CreateOptions{})
	require.NoError(t, err)
	app, err := workerapp.FromUnstructured(made)
	require.NoError(t, err)
	want := app.Spec.WithDefaults()
	want.MainRegion = workerapp.GlobalRegion
	require.Equal(t, want, app.Spec)
	require.Equal(t, workerapp.Spec{
		WorkerID: "abc12345", OwnerID: "u1", Image: healthyImage, Port: 8080, AssignedCPU: "1", AssignedMemory: "500Mi",
		AssignedDisk: "2Gi", MaxReplicas: 1, MainRegion: "global",
	}, app.Spec)
}

func TestNewWorkerAppIsDeployingByDefault(t *testing.T) {
	t.Parallel()
	b := setup(t)
	name := b.deploy(spec("abc12345"), 1, 1)
	app, err := b.app(name)
	require.NoError(t, err)
	require.Equal(t, workerapp.Deploying, app.Status.Phase)
	require.Less(t, app.Status.ObservedGeneration, app.Generation, "kstatus reports InProgress, not Current")
	require.Len(t, app.Status.Conditions, 3)
}

func TestKubectlColumns(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.startAndSync()
	name := b.deploy(spec("abc12345"), 1, 1)
	b.awaitPhase(name, workerapp.Running)
	var table metav1.Table
	require.NoError(t, b.admin.Typed.Discovery().RESTClient().Get().
		AbsPath("/apis/console.app238.com/v1/namespaces/"+b.worker()+"/workerapps/"+name).
		SetHeader("Accept", "application/json;as=Table;v=v1;g=meta.k8s.io").Do(b.ctx()).Into(&table))
	var columns []string
	for _, c := range table.ColumnDefinitions {
		if c.Priority == 0 {
			columns = append(columns, c.Name)
		}
	}
	require.Equal(t, []string{"Name", "Phase", "Image", "Replicas", "Age"}, columns)
	require.Len(t, table.Rows, 1)
	require.Equal(t, []any{name, "Running", healthyImage, "1"},
		[]any{table.Rows[0].Cells[0], table.Rows[0].Cells[1], table.Rows[0].Cells[2],
			toText(table.Rows[0].Cells[3])})
}

package workerapp_test

import (
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/validation"

	"app238.com/inner/app/config"
	"app238.com/inner/modules/controller/workerapp"
)

func object(spec map[string]any) *unstructured.Unstructured {
	u := &unstructured.Unstructured{Object: map[string]any{"spec": spec}}
	u.SetName("w-a-b")
	return u
}

func TestCheckLimitsNamesFieldAndLimit(t *testing.T) {
	t.Parallel()
	limits := config.Limits{CPU: "2", Memory: "1Gi", Disk: "1Ti", Replicas: 3}
	require.NoError(t,
		workerapp.Spec{AssignedCPU: "2000m", AssignedMemory: "1024Mi", AssignedDisk: "1Ti", MaxReplicas: 3}.CheckLimits(limits))
	require.NoError(t, workerapp.Spec{AssignedCPU: "much"}.CheckLimits(limits), "Validate reports it")
	require.EqualError(t,
		workerapp.Spec{AssignedCPU: "2001m", AssignedMemory: "2e9", AssignedDisk: "1025Gi", MaxReplicas: 4}.CheckLimits(limits),
		"assigned_cpu: 2001m is more than 2, the most that a worker can have (controller.limits.cpu); "+
			"assigned_memory: 2e9 is more than 1Gi, the most that a worker can have (controller.limits.memory); "+
			"assigned_disk: 1025Gi is more than 1Ti, the most that a worker can have (controller.limits.disk); "+
			"max_replicas: 4 is more than 3, the most that a worker can have (controller.limits.replicas)")
}

func TestApplyConfigurationRoundTrips(t *testing.T) {
	t.Parallel()
	spec := workerapp.Spec{WorkerID: "a", OwnerID: "b", Image: "i", Port: 80, AssignedCPU: "1", AssignedMemory: "2",
		AssignedDisk: "3",
		MaxReplicas:  4, MainRegion: "r"}
	origin := workerapp.Origin{Version: math.MaxInt64, Task: 1<<53 + 1, Accepted: "2026-11-28T10:00:00.123456Z", Database: "d1"}
	u := workerapp.ToApply("worker", spec, origin)
	require.Equal(t, "w-a-b", u.GetName())
	require.Equal(t, "worker", u.GetNamespace())
	app, err := workerapp.FromUnstructured(u)
	require.NoError(t, err)
	require.Equal(t, spec, app.Spec)
	require.Equal(t, origin, workerapp.OriginOf(app.Annotations))
	require.Equal(t, map[string]string{"app": "w-a-b", "worker-id": "a", "owner-id": "b"}, app.Labels)
}

func TestOldObjectsAreReadable(t *testing.T) {
	t.Parallel()
	u := object(map[string]any{"workerID": "a", "ownerID": "b", "image": "i", "port": int64(80), "ownerSK": "sk_1"})
	for _, status := range []any{nil, "broken", map[string]any{"phase": int64(5)}, map[string]any{"conditions": "x"}, []any{}} {
		u.Object["status"] = status
		app, err := workerapp.FromUnstructured(u)
		require.NoError(t, err)
		require.Equal(t, workerapp.Status{}, app.Status)
		require.Equal(t, workerapp.Spec{WorkerID: "a", OwnerID: "b", Image: "i", Port: 80}, app.Spec)
	}
}

func TestFieldsOfWrongTypeAreInFixedOrder(t *testing.T) {
	t.Parallel()
	for range 20 {
		app, err := workerapp.FromUnstructured(object(map[string]any{"workerID": "a", "image": int64(1), "port": "80",
			"maxReplicas": "x"}))
		require.EqualError(t, err, "spec.image: must be a string; spec.port: must be an integer; spec.maxReplicas: must be an integer")
		require.Equal(t, "a", app.Spec.WorkerID, "well-formed fields are read")
	}
}

func TestLabelsAreValidForEveryIdentifier(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("a", 64)
	for _, id := range []string{"a", "A_b-c", "550e8400-e29b-41d4-a716-446655440000", long[:63], long} {
		for key, value := range workerapp.Labels(id, id) {
			require.Empty(t, validation.IsValidLabelValue(value), key)
		}
	}
	require.Equal(t, long[:63], workerapp.Labels(long[:63], "b")[workerapp.WorkerLabel])
	require.NotEqual(t, workerapp.Labels(long, "b")[workerapp.WorkerLabel],
		workerapp.Labels("b"+long[1:], "b")[workerapp.WorkerLabel])
}

func TestIDsRoundTrip(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("a", 64)
	for _, id := range []string{"a", "A_b-c", long[:63], long} {
		o := &metav1.ObjectMeta{}
		workerapp.SetIDs(o, id, "u1")
		workerID, ownerID := workerapp.IDs(o)
		require.Equal(t, []string{id, "u1"}, []string{workerID, ownerID})
		require.Equal(t, id == long, len(o.Annotations) == 1, "only ids too long for a label are annotated")
	}
}

func TestNonNumericAnnotationsAreZero(t *testing.T) {
	t.Parallel()
	for _, value := range []string{"", "x", "-1", "1.5", "99999999999999999999"} {
		require.Zero(t, workerapp.Version(map[string]string{workerapp.VersionAnnotation: value}))
		require.Zero(t, workerapp.Task(map[string]string{workerapp.TaskAnnotation: value}))
	}
}

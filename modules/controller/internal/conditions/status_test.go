package conditions_test

import (
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"

	"app238.com/inner/configs"
	"app238.com/inner/modules/controller/internal/conditions"
	"app238.com/inner/modules/controller/rollout"
	"app238.com/inner/modules/controller/workerapp"
)

var (
	noon      = time.Date(2026, 1, 2, 12, 0, 0, 123, time.UTC)
	running   = conditions.State{Phase: workerapp.Running, Reason: "RolloutComplete"}
	deploying = conditions.State{Phase: workerapp.Deploying, Reason: "RolloutInProgress"}
	crashed   = conditions.State{Phase: workerapp.Failed, Reason: "ContainerCrashing", Message: "exit code 1"}
)

func setup() *workerapp.WorkerApp {
	return &workerapp.WorkerApp{
		ObjectMeta: metav1.ObjectMeta{Name: "w-a-b", Generation: 2, Annotations: map[string]string{
			workerapp.VersionAnnotation: "7", workerapp.TaskAnnotation: "42"}},
		Spec: workerapp.Spec{WorkerID: "a", OwnerID: "b"},
	}
}

// stored returns s as it is read back after being written.
func stored(t *testing.T, s workerapp.Status) workerapp.Status {
	t.Helper()
	patch, err := conditions.Patch("1", s)
	require.NoError(t, err)
	var u unstructured.Unstructured
	require.NoError(t, json.Unmarshal([]byte(`{"apiVersion": "console.app238.com/v1", "kind": "WorkerApp"}`), &u))
	var content map[string]any
	require.NoError(t, json.Unmarshal(patch, &content))
	u.Object["status"] = content["status"]
	app, err := workerapp.FromUnstructured(&u)
	require.NoError(t, err)
	return app.Status
}

func conditionsOf(s workerapp.Status) map[string]metav1.ConditionStatus {
	found := map[string]metav1.ConditionStatus{}
	for _, c := range s.Conditions {
		found[c.Type] = c.Status
	}
	return found
}

func TestConditionsFollowKstatus(t *testing.T) {
	t.Parallel()
	suspected := deploying
	suspected.Since = noon
	for name, test := range map[string]struct {
		state                       conditions.State
		ready, reconciling, stalled metav1.ConditionStatus
	}{
		"running":   {running, "True", "False", "False"},
		"deploying": {deploying, "False", "True", "False"},
		"suspected": {suspected, "False", "True", "Unknown"},
		"failed":    {crashed, "False", "False", "True"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			app := setup()
			next := conditions.Next(app, test.state, noon)
			require.Equal(t, test.state.Phase, next.Phase)
			require.Equal(t, test.state.Message, next.Message)
			require.EqualValues(t, 2, next.ObservedGeneration)
			require.EqualValues(t, 7, next.Version)
			require.EqualValues(t, 42, next.Task)
			require.Equal(t, map[string]metav1.ConditionStatus{
				"Ready": test.ready, "Reconciling": test.reconciling, "Stalled": test.stalled, "Recorded": "False",
			}, conditionsOf(next))
			for _, c := range next.Conditions {
				require.NotEmpty(t, c.Reason)
				require.EqualValues(t, 2, c.ObservedGeneration)
				require.False(t, c.LastTransitionTime.IsZero())
			}
			app.Status = stored(t, next)
			require.True(t, conditions.Equal(app.Status, conditions.Next(app, test.state, noon.Add(time.Hour))), "nothing changed")
		})
	}
}

func TestTransitionTimeChangesWithStatusOnly(t *testing.T) {
	t.Parallel()
	app := setup()
	app.Status = stored(t, conditions.Next(app, deploying, noon))
	later := noon.Add(time.Minute)
	next := conditions.Next(app, crashed, later)
	require.Equal(t, noon.Unix(), next.Conditions[0].LastTransitionTime.Unix(), "Ready is False as before")
	require.Equal(t, later.Unix(), next.Conditions[1].LastTransitionTime.Unix(), "Reconciling ended")
	require.Equal(t, later.Unix(), next.Conditions[2].LastTransitionTime.Unix(), "Stalled began")
}

func TestDefaultStatusIsThatOfFirstRollout(t *testing.T) {
	t.Parallel()
	app := setup()
	app.Status = defaultStatus(t)
	app.CreationTimestamp = metav1.NewTime(noon.Truncate(time.Second))
	later := noon.Add(30 * time.Second)
	next := conditions.Next(app, deploying, later)
	require.Equal(t, next.Phase, app.Status.Phase)
	for _, c := range app.Status.Conditions {
		require.Equal(t, conditionsOf(next)[c.Type], c.Status, c.Type)
	}
	for _, c := range conditions.Next(app, crashed, later).Conditions {
		want := later
		if c.Type == workerapp.ReadyCondition {
			want = noon // False from the beginning
		}
		require.Equal(t, want.Unix(), c.LastTransitionTime.Unix(), c.Type)
	}
}

func TestDeployingStatusIsDelayedWhileDefaultStatusSaysIt(t *testing.T) {
	t.Parallel()
	suspected := deploying
	suspected.Since = noon
	for name, test := range map[string]struct {
		state  conditions.State
		change func(*workerapp.WorkerApp)
		want   time.Duration
	}{
		"a first rollout": {deploying, func(*workerapp.WorkerApp) {}, 15 * time.Second},
		"one that takes long": {deploying,
			func(a *workerapp.WorkerApp) { a.CreationTimestamp = metav1.NewTime(noon.Add(-time.Minute)) }, 0},
		"one that ran":                   {running, func(*workerapp.WorkerApp) {}, 0},
		"one that failed":                {crashed, func(*workerapp.WorkerApp) {}, 0},
		"one that may fail":              {suspected, func(*workerapp.WorkerApp) {}, 0},
		"one of a WorkerApp that ran":    {deploying, func(a *workerapp.WorkerApp) { a.Status = conditions.Next(a, running, noon) }, 0},
		"another generation observed":    {deploying, func(a *workerapp.WorkerApp) { a.Status.ObservedGeneration = 1 }, 0},
		"one of a WorkerApp without one": {deploying, func(a *workerapp.WorkerApp) { a.Status = workerapp.Status{} }, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			app := setup()
			app.Status = defaultStatus(t)
			app.CreationTimestamp = metav1.NewTime(noon.Add(-45 * time.Second))
			test.change(app)
			require.Equal(t, test.want, conditions.ReportDelay(app, test.state, noon))
		})
	}
}

// defaultStatus returns the CRD's default status.
func defaultStatus(t *testing.T) workerapp.Status {
	t.Helper()
	var crd struct {
		Spec struct {
			Versions []struct {
				Schema struct {
					OpenAPIV3Schema struct {
						Properties struct {
							Status struct{ Default workerapp.Status }
						}
					}
				}
			}
		}
	}
	require.NoError(t, yaml.Unmarshal(configs.WorkerAppCRD, &crd))
	require.Len(t, crd.Spec.Versions, 1)
	return crd.Spec.Versions[0].Schema.OpenAPIV3Schema.Properties.Status.Default
}

func TestPreviousNeedsSameVersionTaskAndGeneration(t *testing.T) {
	t.Parallel()
	app := setup()
	suspected := conditions.State{Phase: workerapp.Deploying, Reason: "ImageNotPulled", Message: "x",
		Since: noon.Truncate(time.Second)}
	app.Status = stored(t, conditions.Next(app, suspected, noon.Add(time.Second)))
	previous, ok := conditions.Previous(app)
	require.True(t, ok)
	require.True(t, suspected.Since.Equal(previous.Since))
	previous.Since = suspected.Since
	require.Equal(t, suspected, previous)

	for _, change := range []func(){
		func() { app.Generation++ },
		func() { app.Generation--; app.Annotations[workerapp.TaskAnnotation] = "43" },
		func() {
			app.Annotations[workerapp.TaskAnnotation] = "42"
			app.Annotations[workerapp.VersionAnnotation] = "8"
		},
	} {
		change()
		_, ok := conditions.Previous(app)
		require.False(t, ok)
	}
}

// step writes the status for state, with err as the result of recording an outcome, and returns the outcome.
func step(t *testing.T, app *workerapp.WorkerApp, state conditions.State, err error) (rollout.Outcome, bool) {
	t.Helper()
	next := conditions.Next(app, state, noon)
	outcome, ok := conditions.Outcome(app, state)
	if ok {
		next = conditions.Recorded(app, next, state, err, noon)
	}
	app.Status = stored(t, next)
	return outcome, ok
}

func TestOutcomeIsRecordedOnce(t *testing.T) {
	t.Parallel()
	app := setup()
	_, ok := step(t, app, deploying, nil)
	require.False(t, ok)
	outcome, ok := step(t, app, running, nil)
	require.True(t, ok)
	require.Equal(t, rollout.Outcome{WorkerID: "a", OwnerID: "b", Origin: workerapp.Origin{Version: 7, Task: 42}, Running: true},
		outcome)
	require.EqualValues(t, "True", conditionsOf(app.Status)["Recorded"])
	for _, state := range []conditions.State{running, deploying, running} {
		_, ok := step(t, app, state, nil)
		require.False(t, ok, "nothing has ended")
		require.EqualValues(t, "True", conditionsOf(app.Status)["Recorded"])
	}
	app.Generation++
	_, ok = step(t, app, deploying, nil)
	require.False(t, ok)
	_, ok = step(t, app, running, nil)
	require.False(t, ok, "a spec edited by hand is no new version")

	app.Annotations[workerapp.TaskAnnotation] = "43"
	outcome, ok = step(t, app, running, nil)
	require.True(t, ok)
	require.EqualValues(t, 43, outcome.Task)
}

func TestFailureIsFollowedBySuccessOnly(t *testing.T) {
	t.Parallel()
	app := setup()
	outcome, ok := step(t, app, crashed, nil)
	require.True(t, ok)
	require.Equal(t,
		rollout.Outcome{WorkerID: "a", OwnerID: "b", Origin: workerapp.Origin{Version: 7, Task: 42}, Reason: "exit code 1"}, outcome)
	_, ok = step(t, app, deploying, nil)
	require.False(t, ok)
	_, ok = step(t, app, crashed, nil)
	require.False(t, ok)
	outcome, ok = step(t, app, running, nil)
	require.True(t, ok)
	require.True(t, outcome.Running)
}

func TestFailedRecordIsRetried(t *testing.T) {
	t.Parallel()
	app := setup()
	_, ok := step(t, app, running, errors.New("marker: connection refused"))
	require.True(t, ok)
	require.Equal(t, workerapp.Running, app.Status.Phase, "the phase is written nevertheless")
	require.EqualValues(t, "False", conditionsOf(app.Status)["Recorded"])
	encoded, err := json.Marshal(app.Status)
	require.NoError(t, err)
	require.NotContains(t, string(encoded), "marker", "the status does not hold the driver's message")
	_, ok = step(t, app, running, nil)
	require.True(t, ok)
	_, ok = step(t, app, running, nil)
	require.False(t, ok)
}

func TestWorkerAppWithoutVersionIsNeverRecorded(t *testing.T) {
	t.Parallel()
	app := setup()
	app.Annotations = nil
	for _, state := range []conditions.State{deploying, running, crashed} {
		_, ok := step(t, app, state, nil)
		require.False(t, ok)
		require.NotContains(t, conditionsOf(app.Status), "Recorded")
	}
}

func TestPatchHasResourceVersionAndRemovesEmptyFields(t *testing.T) {
	t.Parallel()
	app := setup()
	app.Annotations = nil
	patch, err := conditions.Patch("99", conditions.Next(app, running, noon))
	require.NoError(t, err)
	var content struct {
		Metadata map[string]any
		Status   map[string]any
	}
	require.NoError(t, json.Unmarshal(patch, &content))
	require.Equal(t, map[string]any{"resourceVersion": "99"}, content.Metadata)
	for _, field := range []string{"message", "version", "task"} {
		require.Contains(t, content.Status, field)
		require.Nil(t, content.Status[field])
	}
}

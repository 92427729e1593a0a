package conditions

import (
	"encoding/json"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"app238.com/inner/modules/controller/workerapp"
)

// Next returns the status for state. It keeps a Recorded condition that still holds; see Recorded.
func Next(app *workerapp.WorkerApp, state State, now time.Time) workerapp.Status {
	next := workerapp.Status{
		Phase:              state.Phase,
		Message:            state.Message,
		ObservedGeneration: app.Generation,
		Version:            workerapp.Version(app.Annotations),
		Task:               workerapp.Task(app.Annotations),
		Database:           app.Annotations[workerapp.DatabaseAnnotation],
	}
	ready, reconciling, stalled := metav1.ConditionFalse, metav1.ConditionFalse, metav1.ConditionFalse
	switch state.Phase {
	case workerapp.Running:
		ready = metav1.ConditionTrue
	case workerapp.Failed:
		stalled = metav1.ConditionTrue
	default:
		reconciling = metav1.ConditionTrue
		if !state.Since.IsZero() {
			stalled = metav1.ConditionUnknown
		}
	}
	conditions := []metav1.Condition{
		{Type: workerapp.ReadyCondition, Status: ready},
		{Type: workerapp.ReconcilingCondition, Status: reconciling},
		{Type: workerapp.StalledCondition, Status: stalled},
	}
	for _, c := range conditions {
		c.Reason = state.Reason
		if c.Type == workerapp.ReadyCondition || c.Status != metav1.ConditionFalse {
			c.Message = state.Message
		}
		next.Conditions = append(next.Conditions, transition(app, c, now))
	}
	setStalledSince(&next.Conditions[2], state)
	if recorded, ok := carriedCondition(app, now); ok {
		next.Conditions = append(next.Conditions, recorded)
	}
	return next
}

// setStalledSince stores since when the pods fail in the Stalled condition, so that the grace period outlives this process.
func setStalledSince(stalled *metav1.Condition, state State) {
	if stalled.Status == metav1.ConditionUnknown {
		stalled.LastTransitionTime = seconds(state.Since)
	}
}

// transition sets the transition time of c: now if its status changed, else the earlier one.
func transition(app *workerapp.WorkerApp, c metav1.Condition, now time.Time) metav1.Condition {
	c.ObservedGeneration = app.Generation
	c.LastTransitionTime = seconds(now)
	switch old := meta.FindStatusCondition(app.Status.Conditions, c.Type); {
	case old == nil || old.Status != c.Status || old.LastTransitionTime.IsZero():
	case old.LastTransitionTime.Unix() == 0: // the CRD's default status
		c.LastTransitionTime = seconds(app.CreationTimestamp.Time)
	default:
		c.LastTransitionTime = seconds(old.LastTransitionTime.Time)
	}
	return c
}

// seconds truncates t to the precision of times in the API.
func seconds(t time.Time) metav1.Time { return metav1.NewTime(t.UTC().Truncate(time.Second)) }

// defaultStatusTTL is how long the CRD's default status may stand for that of the first rollout.
const defaultStatusTTL = time.Minute

// ReportDelay returns how long writing state can wait, since the status already says it: the CRD's default status is a rollout in
// progress, and most rollouts end within seconds.
func ReportDelay(app *workerapp.WorkerApp, state State, now time.Time) time.Duration {
	if app.Status.Phase != workerapp.Deploying || app.Status.ObservedGeneration != 0 ||
		state.Phase != workerapp.Deploying || !state.Since.IsZero() {
		return 0
	}
	return max(0, app.CreationTimestamp.Add(defaultStatusTTL).Sub(now))
}

// Equal reports whether two statuses are equal, so that no write is needed.
func Equal(a, b workerapp.Status) bool { return equality.Semantic.DeepEqual(a, b) }

// Patch returns the merge patch that sets the status s of the WorkerApp with this resourceVersion. A server-side apply would fail
// on the malformed status of an old object.
func Patch(resourceVersion string, s workerapp.Status) ([]byte, error) {
	content := map[string]any{
		"phase": s.Phase, "observedGeneration": s.ObservedGeneration, "conditions": s.Conditions,
		"message": nil, "version": nil, "task": nil, "database": nil,
	}
	if s.Message != "" {
		content["message"] = s.Message
	}
	if s.Version != 0 {
		content["version"] = s.Version
	}
	if s.Task != 0 {
		content["task"] = s.Task
	}
	if s.Database != "" {
		content["database"] = s.Database
	}
	return json.Marshal(map[string]any{
		"metadata": map[string]any{"resourceVersion": resourceVersion},
		"status":   content,
	})
}

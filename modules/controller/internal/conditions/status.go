package conditions

import (
	"encoding/json"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"app238.com/inner/modules/controller/workerapp"
)

const (
	isTrue    = metav1.ConditionTrue
	isFalse   = metav1.ConditionFalse
	isUnknown = metav1.ConditionUnknown
)

// Next returns the status that says state. Its Recorded condition is carried over where it is still true; see Recorded.
func Next(app *workerapp.WorkerApp, state State, now time.Time) workerapp.Status {
	next := workerapp.Status{
		Phase:              state.Phase,
		Message:            state.Message,
		ObservedGeneration: app.Generation,
		Version:            workerapp.Version(app.Annotations),
		Task:               workerapp.Task(app.Annotations),
		Database:           app.Annotations[workerapp.DatabaseAnnotation],
	}
	ready, reconciling, stalled := isFalse, isFalse, isFalse
	switch state.Phase {
	case workerapp.Running:
		ready = isTrue
	case workerapp.Failed:
		stalled = isTrue
	default:
		reconciling = isTrue
		if !state.Since.IsZero() {
			stalled = isUnknown
		}
	}
	conditions := []metav1.Condition{
		{Type: workerapp.ReadyCondition, Status: ready},
		{Type: workerapp.ReconcilingCondition, Status: reconciling},
		{Type: workerapp.StalledCondition, Status: stalled},
	}
	for _, c := range conditions {
		c.Reason = state.Reason
		if c.Type == workerapp.ReadyCondition || c.Status != isFalse {
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

// keepSince has the Stalled condition tell since when the pods fail: the grace is counted from there, also by an Inner
// that was started since.
func setStalledSince(stalled *metav1.Condition, state State) {
	if stalled.Status == isUnknown {
		stalled.LastTransitionTime = seconds(state.Since)
	}
}

// transition dates c: from now where its status changed, else from when it did.
func transition(app *workerapp.WorkerApp, c metav1.Condition, now time.Time) metav1.Condition {
	c.ObservedGeneration = app.Generation
	c.LastTransitionTime = seconds(now)
	switch old := find(app.Status.Conditions, c.Type); {
	case old.Status != c.Status || old.LastTransitionTime.IsZero():
	case old.LastTransitionTime.Unix() == 0: // the status that the WorkerApp was made with
		c.LastTransitionTime = seconds(app.CreationTimestamp.Time)
	default:
		c.LastTransitionTime = seconds(old.LastTransitionTime.Time)
	}
	return c
}

// seconds is the precision in which the API keeps times.
func seconds(t time.Time) metav1.Time { return metav1.NewTime(t.UTC().Truncate(time.Second)) }

// firstStatus is how long the status that a WorkerApp is made with may stand for that of its first rollout.
const defaultStatusTTL = time.Minute

// Told returns for how long yet nothing need be written of state, since the WorkerApp says as much from the beginning: the
// CRD's default is a rollout that is under way, and most end within seconds.
func ReportDelay(app *workerapp.WorkerApp, state State, now time.Time) time.Duration {
	if app.Status.Phase != workerapp.Deploying || app.Status.ObservedGeneration != 0 ||
		state.Phase != workerapp.Deploying || !state.Since.IsZero() {
		return 0
	}
	return max(0, app.CreationTimestamp.Add(defaultStatusTTL).Sub(now))
}

// Same tells whether two statuses say the same, so that nothing is to be written.
func Equal(a, b workerapp.Status) bool { return equality.Semantic.DeepEqual(a, b) }

// Patch returns the merge patch that gives the WorkerApp of this resourceVersion the status s. A merge patch replaces what
// is there whatever it is: an old object's malformed status would stop server-side apply.
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

func find(conditions []metav1.Condition, kind string) metav1.Condition {
	for _, c := range conditions {
		if c.Type == kind {
			return c
		}
	}
	return metav1.Condition{}
}

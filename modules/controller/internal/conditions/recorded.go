package conditions

import (
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"app238.com/inner/modules/controller/rollout"
	"app238.com/inner/modules/controller/workerapp"
)

// Reasons of the Recorded condition besides the two phases that are recorded.
const (
	recordPending = "Pending"
	recordFailed  = "NotRecorded"
	// recordFailedAfterRun is recordFailed for a version that has run.
	recordFailedAfterRun = "LaterNotRecorded"
	// A version that ran has failed: recordDegraded with ready pods, recordDown without.
	recordDegraded = "Degraded"
	recordDown     = "Down"
)

// Outcome returns the outcome to record before state becomes the status, and whether there is one: each change between running
// and failed of the WorkerApp's version and task, and of whether any pod is ready.
func Outcome(app *workerapp.WorkerApp, state State) (rollout.Outcome, bool) {
	if workerapp.Version(app.Annotations) == 0 || state.Phase == workerapp.Deploying {
		return rollout.Outcome{}, false
	}
	if old, ok := recordedCondition(app); ok && old.Reason == recordedReason(app, state) {
		return rollout.Outcome{}, false
	}
	outcome := rollout.Outcome{
		WorkerID: app.Spec.WorkerID, OwnerID: app.Spec.OwnerID,
		Origin:  workerapp.OriginOf(app.Annotations),
		Running: state.Phase == workerapp.Running,
	}
	if !outcome.Running {
		outcome.Reason = state.Message
		if HasRun(app) {
			outcome.HadRun, outcome.Since, outcome.Serving = true, state.Since, state.Serving
		}
	}
	return outcome, true
}

// HasRun reports whether it is recorded that the WorkerApp's version has run.
func HasRun(app *workerapp.WorkerApp) bool {
	old, ok := recordedCondition(app)
	return ok && old.Reason != string(workerapp.Failed) || isCurrent(app) && old.Reason == recordFailedAfterRun
}

// recordedReason returns the reason of the Recorded condition for a running or failed state.
func recordedReason(app *workerapp.WorkerApp, state State) string {
	switch {
	case state.Phase == workerapp.Running || !HasRun(app):
		return string(state.Phase)
	case state.Serving:
		return recordDegraded
	}
	return recordDown
}

// Recorded returns next with the Recorded condition for the result of recording state. The status does not hold err's text.
func Recorded(app *workerapp.WorkerApp, next workerapp.Status, state State, err error, now time.Time) workerapp.Status {
	c := metav1.Condition{Type: workerapp.RecordedCondition, Status: metav1.ConditionTrue, Reason: recordedReason(app, state)}
	if err != nil {
		c.Status, c.Reason, c.Message = metav1.ConditionFalse, recordFailed,
			"the outcome could not be written to the database; this is retried"
		if HasRun(app) {
			c.Reason = recordFailedAfterRun
		}
	}
	meta.RemoveStatusCondition(&next.Conditions, workerapp.RecordedCondition)
	next.Conditions = append(next.Conditions, transition(app, c, now))
	return next
}

// recordedCondition returns the Recorded condition, and whether it is True for the current version and task.
func recordedCondition(app *workerapp.WorkerApp) (metav1.Condition, bool) {
	c := meta.FindStatusCondition(app.Status.Conditions, workerapp.RecordedCondition)
	if c == nil {
		return metav1.Condition{}, false
	}
	return *c, isCurrent(app) && c.Status == metav1.ConditionTrue
}

// carriedCondition returns the Recorded condition before a new outcome is recorded.
func carriedCondition(app *workerapp.WorkerApp, now time.Time) (metav1.Condition, bool) {
	if workerapp.Version(app.Annotations) == 0 {
		return metav1.Condition{}, false
	}
	if old, ok := recordedCondition(app); ok || HasRun(app) {
		return transition(app, metav1.Condition{Type: old.Type, Status: old.Status, Reason: old.Reason, Message: old.Message}, now),
			true
	}
	return transition(app, metav1.Condition{
		Type: workerapp.RecordedCondition, Status: metav1.ConditionFalse, Reason: recordPending,
		Message: "the rollout has not ended",
	}, now), true
}

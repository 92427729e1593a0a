package conditions

import (
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"app238.com/inner/modules/controller/rollout"
	"app238.com/inner/modules/controller/workerapp"
)

// Reasons of the Recorded condition beside the two phases that can be recorded.
const (
	recordPending = "Pending"
	recordFailed  = "NotRecorded"
	// The same of a version that is known to have run.
	recordFailedAfterRun = "LaterNotRecorded"
	// A version that has run has failed since: some of its pods serve, or none.
	recordDegraded = "Degraded"
	recordDown     = "Down"
)

// Outcome returns what is to be recorded before state becomes the status, and whether anything is: each change between
// running and failed of the version and task that the WorkerApp is at, and of whether anything serves meanwhile.
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

// HasRun tells whether it is on record that the version which the WorkerApp is at has run.
func HasRun(app *workerapp.WorkerApp) bool {
	old, ok := recordedCondition(app)
	return ok && old.Reason != string(workerapp.Failed) || isCurrent(app) && old.Reason == recordFailedAfterRun
}

// recordOf returns the reason of the Recorded condition for a state of either phase.
func recordedReason(app *workerapp.WorkerApp, state State) string {
	switch {
	case state.Phase == workerapp.Running || !HasRun(app):
		return string(state.Phase)
	case state.Serving:
		return recordDegraded
	}
	return recordDown
}

// Recorded returns next with the result of recording state. The error's own text stays out of the status.
func Recorded(app *workerapp.WorkerApp, next workerapp.Status, state State, err error, now time.Time) workerapp.Status {
	c := metav1.Condition{Type: workerapp.RecordedCondition, Status: isTrue, Reason: recordedReason(app, state)}
	if err != nil {
		c.Status, c.Reason, c.Message = isFalse, recordFailed, "the outcome could not be written to the database; it is tried again"
		if HasRun(app) {
			c.Reason = recordFailedAfterRun
		}
	}
	c = transition(app, c, now)
	for i := range next.Conditions {
		if next.Conditions[i].Type == workerapp.RecordedCondition {
			next.Conditions[i] = c
			return next
		}
	}
	next.Conditions = append(next.Conditions, c)
	return next
}

// record returns the Recorded condition where it says that an outcome of the present version and task stands.
func recordedCondition(app *workerapp.WorkerApp) (metav1.Condition, bool) {
	c := find(app.Status.Conditions, workerapp.RecordedCondition)
	return c, isCurrent(app) && c.Status == isTrue
}

// carriedRecord returns the Recorded condition as it is before anything new is recorded.
func carriedCondition(app *workerapp.WorkerApp, now time.Time) (metav1.Condition, bool) {
	if workerapp.Version(app.Annotations) == 0 {
		return metav1.Condition{}, false
	}
	if old, ok := recordedCondition(app); ok || HasRun(app) {
		return transition(app, metav1.Condition{Type: old.Type, Status: old.Status, Reason: old.Reason, Message: old.Message}, now), true
	}
	return transition(app, metav1.Condition{
		Type: workerapp.RecordedCondition, Status: isFalse, Reason: recordPending,
		Message: "the rollout has not ended",
	}, now), true
}

package status

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
)

// Outcome returns what is to be recorded before state becomes the status, and whether anything is. Each version is
// recorded once for each task that asked for it; only a failure may be followed by success. What happens to a version
// that has run, like a crash a week later, changes the status alone.
func Outcome(app *workerapp.WorkerApp, state State) (rollout.Outcome, bool) {
	if workerapp.Version(app.Annotations) == 0 || state.Phase == workerapp.Deploying {
		return rollout.Outcome{}, false
	}
	if old, ok := record(app); ok && (old.Reason == string(workerapp.Running) || state.Phase == workerapp.Failed) {
		return rollout.Outcome{}, false
	}
	outcome := rollout.Outcome{
		WorkerID: app.Spec.WorkerID, OwnerID: app.Spec.OwnerID,
		Origin:  workerapp.OriginOf(app.Annotations),
		Running: state.Phase == workerapp.Running,
	}
	if !outcome.Running {
		outcome.Reason = state.Message
	}
	return outcome, true
}

// Recorded returns next with the result of recording its phase. The error's own text stays out of the status.
func Recorded(app *workerapp.WorkerApp, next workerapp.Status, err error, now time.Time) workerapp.Status {
	c := metav1.Condition{Type: workerapp.RecordedCondition, Status: yes, Reason: string(next.Phase)}
	if err != nil {
		c.Status, c.Reason, c.Message = no, recordFailed, "the outcome could not be written to the database; it is tried again"
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
func record(app *workerapp.WorkerApp) (metav1.Condition, bool) {
	c := find(app.Status.Conditions, workerapp.RecordedCondition)
	return c, about(app) && c.Status == yes
}

// carriedRecord returns the Recorded condition as it is before anything new is recorded.
func carriedRecord(app *workerapp.WorkerApp, now time.Time) (metav1.Condition, bool) {
	if workerapp.Version(app.Annotations) == 0 {
		return metav1.Condition{}, false
	}
	if old, ok := record(app); ok {
		return transition(app, metav1.Condition{Type: old.Type, Status: yes, Reason: old.Reason, Message: old.Message}, now), true
	}
	return transition(app, metav1.Condition{
		Type: workerapp.RecordedCondition, Status: no, Reason: recordPending,
		Message: "the rollout has not ended",
	}, now), true
}

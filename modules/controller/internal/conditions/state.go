// Package conditions derives the status of a WorkerApp from its observed state, and decides when to record an outcome. It is
// pure.
package conditions

import (
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"app238.com/inner/modules/controller/workerapp"
)

// Reasons of conditions for states that do not come from pods.
const (
	// InvalidSpec: no children can be built from the spec.
	InvalidSpec = "InvalidSpec"
	// InvalidEnvironment: the user's environment has an invalid variable.
	InvalidEnvironment = "InvalidEnvironment"
	// NoOwner: the worker or its owner has no row in the database.
	NoOwner = "NoOwner"
	// Refused: the API server rejects a child.
	Refused = "Refused"
)

// State is the observed state of a WorkerApp.
type State struct {
	Phase workerapp.Phase
	// Reason is one word in CamelCase for conditions, Message a text for people.
	Reason, Message string
	// Since, if set, is the time since when pods fail to start or to become ready. The rollout fails if that lasts for the grace
	// period.
	Since time.Time
	// Serving means that a pod of any version is ready.
	Serving bool
}

// LastingSince returns since when the state has had one of these reasons; now if it has another one.
func (s State) LastingSince(now time.Time, reasons ...string) time.Time {
	if slices.Contains(reasons, s.Reason) {
		return s.Since
	}
	return now
}

// Previous returns the state in the status of app, and false if that is of another version, task or generation. Reason and Since
// are set for an actual or suspected failure only.
func Previous(app *workerapp.WorkerApp) (State, bool) {
	if !IsReported(app) {
		return State{}, false
	}
	s := app.Status
	state := State{Phase: s.Phase, Message: s.Message}
	if stalled := meta.FindStatusCondition(s.Conditions, workerapp.StalledCondition); stalled != nil && stalled.Status != "" &&
		stalled.Status != metav1.ConditionFalse {
		state.Reason, state.Since = stalled.Reason, stalled.LastTransitionTime.Time
	}
	return state, true
}

// IsReported reports whether the status is of the WorkerApp's version, task and generation.
func IsReported(app *workerapp.WorkerApp) bool {
	return isCurrent(app) && app.Status.ObservedGeneration == app.Generation
}

// isCurrent reports whether the status is of the WorkerApp's version and task.
func isCurrent(app *workerapp.WorkerApp) bool {
	at := workerapp.OriginOf(app.Annotations)
	return app.Status.Version == at.Version && app.Status.Task == at.Task && app.Status.Database == at.Database
}

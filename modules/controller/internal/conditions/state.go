// Package conditions turns what was observed of a WorkerApp into its status, and decides when an outcome is to be recorded.
// Everything here is pure.
package conditions

import (
	"slices"
	"time"

	"app238.com/inner/modules/controller/workerapp"
)

// Reasons of conditions for states that have nothing to do with pods.
const (
	// InvalidSpec: the spec cannot be made into children.
	InvalidSpec = "InvalidSpec"
	// InvalidEnvironment: the user's environment holds a name that no variable can have.
	InvalidEnvironment = "InvalidEnvironment"
	// NoOwner: no row in the database justifies the worker.
	NoOwner = "NoOwner"
	// Refused: the API server refuses a child for what it holds.
	Refused = "Refused"
)

// State is what was observed of a WorkerApp.
type State struct {
	Phase workerapp.Phase
	// Reason is one word in CamelCase for conditions, Message the words for people.
	Reason, Message string
	// Since, where it is set, is the time since when pods fail to start or to serve: the rollout may have failed, and counts as
	// failed if they still do after a grace.
	Since time.Time
	// Serving tells whether any pod serves, of whichever version.
	Serving bool
}

// LastingSince returns since when the state has had one of these reasons; now, where it has another one.
func (s State) LastingSince(now time.Time, reasons ...string) time.Time {
	if slices.Contains(reasons, s.Reason) {
		return s.Since
	}
	return now
}

// Previous returns the state that the status of app shows, and false where that is about another version, task or
// generation. Reason and Since are those of a known or suspected failure only.
func Previous(app *workerapp.WorkerApp) (State, bool) {
	s := app.Status
	if !isCurrent(app) || s.ObservedGeneration != app.Generation {
		return State{}, false
	}
	state := State{Phase: s.Phase, Message: s.Message}
	if stalled := find(s.Conditions, workerapp.StalledCondition); stalled.Status != "" && stalled.Status != isFalse {
		state.Reason, state.Since = stalled.Reason, stalled.LastTransitionTime.Time
	}
	return state, true
}

// about tells whether the status is about the version and the task that the WorkerApp is at.
func isCurrent(app *workerapp.WorkerApp) bool {
	at := workerapp.OriginOf(app.Annotations)
	return app.Status.Version == at.Version && app.Status.Task == at.Task && app.Status.Database == at.Database
}

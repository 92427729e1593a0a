package reconcile

import (
	"app238.com/inner/modules/controller/internal/children"
	"app238.com/inner/modules/controller/workerapp"
)

// Reasons of events beside those of states.
const (
	// restored: an object was lost, or somebody edited it, and it is again as wished.
	repairedReason = "Restored"
	// updated: an object follows a change of what it depends on, like a secret.
	updatedReason = "Updated"
)

// announceHealing tells of a write that no deploy asked for.
func (r *Reconciler) recordRepair(app *workerapp.WorkerApp, c children.Child, live map[string]any) {
	if app.Status.ObservedGeneration != app.Generation || app.Status.Task != workerapp.Task(app.Annotations) ||
		app.Status.Version != workerapp.Version(app.Annotations) {
		return
	}
	what := c.Object.GetKind() + " " + c.Object.GetName()
	switch {
	case live == nil:
		r.events.Event(app, false, repairedReason, what+" was missing and is made again")
	case appliedHash(live) == appliedHash(c.Object.Object):
		r.events.Event(app, false, repairedReason, what+" was edited and is restored")
	default:
		r.events.Event(app, false, updatedReason, what+" follows a change")
	}
}

// announcePhase tells how a rollout ended, or that a worker that ran does not any more.
func (r *Reconciler) recordPhase(app *workerapp.WorkerApp, phase workerapp.Phase, reason, message string) {
	switch phase {
	case workerapp.Running:
		r.events.Event(app, false, reason, "every pod serves")
	case workerapp.Failed:
		r.events.Event(app, true, reason, message)
	case workerapp.Deploying:
	}
}

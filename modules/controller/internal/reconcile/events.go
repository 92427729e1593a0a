package reconcile

import (
	corev1 "k8s.io/api/core/v1"

	"app238.com/inner/modules/controller/internal/children"
	"app238.com/inner/modules/controller/workerapp"
)

// Reasons of events besides those of states.
const (
	// repairedReason: a missing or edited object has the desired state again.
	repairedReason = "Restored"
	// updatedReason: an object follows a change of its inputs, like a secret.
	updatedReason = "Updated"
)

// recordRepair writes an event about a write without a deploy.
func (r *Reconciler) recordRepair(app *workerapp.WorkerApp, c children.Child, live map[string]any) {
	if app.Status.ObservedGeneration != app.Generation || app.Status.Task != workerapp.Task(app.Annotations) ||
		app.Status.Version != workerapp.Version(app.Annotations) {
		return
	}
	what := c.Object.GetKind() + " " + c.Object.GetName()
	switch {
	case live == nil:
		r.events.Event(app, corev1.EventTypeNormal, repairedReason, what+" was missing and is recreated")
	case appliedHash(live) == appliedHash(c.Object.Object):
		r.events.Event(app, corev1.EventTypeNormal, repairedReason, what+" was edited and is restored")
	default:
		r.events.Event(app, corev1.EventTypeNormal, updatedReason, what+" follows a change")
	}
}

// recordPhase writes an event about the end of a rollout, or about a running worker that failed.
func (r *Reconciler) recordPhase(app *workerapp.WorkerApp, phase workerapp.Phase, reason, message string) {
	switch phase {
	case workerapp.Running:
		r.events.Event(app, corev1.EventTypeNormal, reason, "all pods are ready")
	case workerapp.Failed:
		r.events.Event(app, corev1.EventTypeWarning, reason, message)
	case workerapp.Deploying:
	}
}

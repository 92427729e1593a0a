// Package cluster reads and writes WorkerApps and the user's keys in their Secrets, lists the other objects of workers, and
// deletes the objects of a deleted worker.
package cluster

import (
	"context"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"app238.com/inner/app/config"
	"app238.com/inner/app/kube"
	"app238.com/inner/modules/controller/workerapp"
)

// WorkerApps is the client of the WorkerApps in the worker namespace.
type WorkerApps struct {
	clients   *kube.Clients
	namespace string
}

// New returns the client.
func New(clients *kube.Clients, c *config.Config) *WorkerApps {
	return &WorkerApps{clients: clients, namespace: c.Kubernetes.Namespaces.Worker}
}

// State is the state of an existing WorkerApp.
type State struct {
	// Origin names the version and the task that it was written for last.
	workerapp.Origin
	// OtherDatabase is true when the origin is of another database, or of this one before a restore. Find leaves it false;
	// see package origin.
	OtherDatabase bool
	// Deleting is true once it has a deletion timestamp.
	Deleting bool
	// Recorded is true once the rows hold the outcome of the rollout for this version and task. Running reports whether it
	// succeeded; Reason why it failed.
	Recorded, Running bool
	Reason            string
}

// Find returns the state of a worker's WorkerApp, or nil when there is none.
func (w *WorkerApps) Find(ctx context.Context, workerID, ownerID string) (*State, error) {
	found, err := w.clients.Get(ctx, workerapp.Resource(), w.namespace, workerapp.Name(workerID, ownerID))
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return stateOf(found), nil
}

func stateOf(found *unstructured.Unstructured) *State {
	state := &State{
		Origin:   workerapp.OriginOf(found.GetAnnotations()),
		Deleting: found.GetDeletionTimestamp() != nil,
	}
	app, err := workerapp.FromUnstructured(found)
	if err != nil || app.Status.Version != state.Version || app.Status.Task != state.Task || app.Status.Database != state.Database {
		return state
	}
	recorded := meta.FindStatusCondition(app.Status.Conditions, workerapp.RecordedCondition)
	if recorded != nil && recorded.Status == metav1.ConditionTrue {
		state.Recorded, state.Running = true, recorded.Reason != string(workerapp.Failed)
		state.Reason = app.Status.Message
	}
	return state
}

// Apply creates or updates the WorkerApp for the version and on behalf of the task of its origin.
func (w *WorkerApps) Apply(ctx context.Context, spec workerapp.Spec, origin workerapp.Origin) error {
	_, err := w.clients.Apply(ctx, workerapp.Resource(), workerapp.ToApply(w.namespace, spec, origin))
	return err
}

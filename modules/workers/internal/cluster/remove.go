package cluster

import (
	"context"
	"fmt"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"app238.com/inner/app/kube"
	"app238.com/inner/modules/controller/workerapp"
)

// Remover deletes the objects of workers.
type Remover struct {
	clients *kube.Clients
	lister  *Lister
}

// NewRemover returns a Remover.
func NewRemover(clients *kube.Clients, l *Lister) *Remover {
	return &Remover{clients: clients, lister: l}
}

// Remove deletes all objects of a worker, with or without a WorkerApp, and returns those that remain because their deletion
// is in progress or a finalizer blocks it. The other objects are deleted only after the WorkerApp has a deletion timestamp:
// until then the controller would create them again. The garbage collector is not enough, as it ignores objects that lost
// their owner reference. Only objects that were listed before the WorkerApp was seen absent or deleting are deleted, as they were
// then: those that another process creates or adopts for a later deploy, while this one is paused, stay.
func (r *Remover) Remove(ctx context.Context, workerID, ownerID string) (remaining []Part, err error) {
	app, err := r.workerApp(ctx, workerapp.Name(workerID, ownerID))
	if err != nil {
		return nil, err
	}
	if app != nil && !app.Deleting {
		if err := r.delete(ctx, *app); err != nil && !kube.IsConflict(err) {
			return nil, err
		}
		return []Part{*app}, nil
	}
	// Objects change while they are listed, a Deployment above all: its controller writes its status.
	err = kube.RetryConflicts(ctx, func() error {
		remaining, err = r.removeObjects(ctx, workerID, ownerID)
		return err
	})
	if kube.IsConflict(err) {
		err = nil // what remains is looked at again
	}
	return remaining, err
}

// removeObjects deletes the objects besides the WorkerApp, unless that is there and not being deleted, and returns what remains,
// also with a conflict.
func (r *Remover) removeObjects(ctx context.Context, workerID, ownerID string) (remaining []Part, err error) {
	objects, err := r.lister.listWorker(ctx, workerID, ownerID)
	if err != nil {
		return nil, err
	}
	app, err := r.workerApp(ctx, workerapp.Name(workerID, ownerID))
	if err != nil {
		return nil, err
	}
	if app != nil {
		if remaining = []Part{*app}; !app.Deleting {
			return remaining, nil
		}
	}
	deleted := false
	for _, part := range slices.Backward(objects) {
		if part.Deleting {
			continue
		}
		if err := r.delete(ctx, part); err != nil {
			return append(remaining, objects...), err
		}
		deleted = true
	}
	if deleted {
		if objects, err = r.lister.listWorker(ctx, workerID, ownerID); err != nil {
			return nil, err
		}
	}
	return append(remaining, objects...), nil
}

func (r *Remover) workerApp(ctx context.Context, name string) (*Part, error) {
	found, err := r.clients.Get(ctx, workerapp.Resource(), r.lister.namespaces.Worker, name)
	if kube.Absent(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the WorkerApp: %w", err)
	}
	part := partOf(WorkerAppPart, workerapp.Resource(), found)
	return &part, nil
}

func (r *Remover) delete(ctx context.Context, part Part) error {
	seen := metav1.Preconditions{UID: &part.UID, ResourceVersion: &part.resourceVersion}
	if err := r.clients.DeleteSeen(ctx, part.Ref.Resource, part.Ref.Namespace, part.Ref.Name, seen); err != nil {
		return fmt.Errorf("delete the %s %s: %w", part.Kind, part.Ref.Name, err)
	}
	return nil
}

package jobs

import (
	"context"

	"app238.com/inner/app/kube"
	"app238.com/inner/ent"
	"app238.com/inner/modules/combinator/internal/engine"
	"app238.com/inner/modules/combinator/internal/store"
)

// Rows is what the jobs ask of the database.
type Store interface {
	CountEarlier(ctx context.Context, resource *ent.CombinatorResource) (int, error)
	ForgetPlace(ctx context.Context, kind string, of engine.Resource) error
	ForgetSizes(ctx context.Context) error
	Mark(ctx context.Context, userUID, resourceID, kind, status, message string) error
	HasOthers(ctx context.Context, userUID, resourceID, kind string) (bool, error)
	Place(ctx context.Context, kind string, of engine.Resource) (string, error)
	RecordPlace(ctx context.Context, kind string, of engine.Resource, name string) error
	Resource(ctx context.Context, userUID, resourceID, kind string) (*ent.CombinatorResource, error)
	SaveSizes(ctx context.Context, name func(engine.Resource) string, sizes []engine.Size) error
	SecretKey(ctx context.Context, userUID string) (string, error)
	Tenants(ctx context.Context, after string, limit int) ([]store.Tenant, error)
	IsReferenced(ctx context.Context, userUID string) (bool, error)
	WithTenant(ctx context.Context, task int64, userUID string, place *engine.Place, work func(ctx context.Context, t store.Leased) (string, error)) error
}

// Pods is what the jobs ask of the Combinator pods.
type Pods interface {
	// Tell tells one pod that a resource is gone, and returns nil when it has understood.
	Tell(ctx context.Context, pod kube.Pod, kind string, r engine.Resource) error
	// Running returns the pods that run.
	Running(ctx context.Context) ([]kube.Pod, error)
}

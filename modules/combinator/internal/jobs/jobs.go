// Package jobs holds the jobs of combinator, one file per job type.
package jobs

import (
	"context"

	"go.uber.org/fx"

	"app238.com/inner/app/kube"
	"app238.com/inner/ent"
	"app238.com/inner/modules/combinator/internal/engine"
	"app238.com/inner/modules/combinator/internal/store"
	"app238.com/inner/modules/tasks/job"
)

// Params are the dependencies of the jobs.
type Params struct {
	fx.In

	Store Store
	RDB   engine.RDB
	KV    engine.KV
	Queue job.Queue
	Pods  Pods
}

// Store is what the jobs need of the database; *store.Store implements it.
type Store interface {
	CountEarlier(ctx context.Context, resource *ent.CombinatorResource) (int, error)
	DeleteName(ctx context.Context, kind string, of engine.Resource) error
	DeleteSizes(ctx context.Context) error
	SetStatus(ctx context.Context, userUID, resourceID, kind, status, message string) error
	HasOthers(ctx context.Context, userUID, resourceID, kind string) (bool, error)
	ResourceName(ctx context.Context, kind string, of engine.Resource) (string, error)
	RecordName(ctx context.Context, kind string, of engine.Resource, name string) error
	Resource(ctx context.Context, userUID, resourceID, kind string) (*ent.CombinatorResource, error)
	SaveSizes(ctx context.Context, name func(engine.Resource) string, sizes []engine.Size) error
	SecretKey(ctx context.Context, userUID string) (string, error)
	ListTenants(ctx context.Context, after string, limit int) ([]store.Tenant, error)
	IsTenantReferenced(ctx context.Context, userUID string) (bool, error)
	WithTenant(ctx context.Context, task int64, userUID string, names *engine.TenantNames,
		work func(ctx context.Context, t store.LeasedTenant) (string, error)) error
}

// Pods is what the jobs need of the Combinator pods.
type Pods interface {
	// Notify tells one pod that a resource was deleted. It returns nil once the pod has acknowledged.
	Notify(ctx context.Context, pod kube.Pod, kind string, r engine.Resource) error
	// Running returns the running pods.
	Running(ctx context.Context) ([]kube.Pod, error)
}

// Names of the engines in messages to users.
const (
	rdbEngine = "RDB engine"
	kvEngine  = "KV engine"
)

// aliases returns the names of a job type in the guideline, with and without the suffix Job.
func aliases(names ...string) []string {
	var all []string
	for _, name := range names {
		all = append(all, name, name+"Job")
	}
	return all
}

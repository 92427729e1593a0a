// Package engine is what the jobs of combinator ask of the engines that hold users' data, the same of each kind.
package engine

import (
	"context"
	"errors"
)

// Errors that say what an engine's failure means. Their causes are for the log.
var (
	// ErrNotConfigured: this platform has no engine of the kind.
	ErrNotConfigured = errors.New("not configured")
	// ErrUnavailable: the engine is away or does not let Inner in; what was asked may have been done.
	ErrUnavailable = errors.New("unavailable")
	// ErrBusy: someone holds what is to be changed, for a while.
	ErrBusy = errors.New("in use")
	// ErrUnusable: what was given can never be used.
	ErrUnusable = errors.New("unusable")
)

// Resource names what a user has in an engine.
type Resource struct{ UserUID, ResourceID string }

// Size is how large a resource is.
type Size struct {
	// Name is the resource's in the engine.
	Name  string
	Bytes int64
}

// Tenant is a user of the RDB engine.
type Tenant struct {
	UserUID string
	// Key is the user's secret key.
	Key string
	// Stale says that the user's role was not given this key and the present limits, as far as is known.
	Stale bool
}

// What a user has in the RDB engine beside schemas.
const (
	RolePart     = "role"
	DatabasePart = "database"
)

// RDB is the engine of SQL schemas. Every method may be called again at any time.
type RDB interface {
	// Configured tells whether there is an engine.
	Configured() bool
	// Ready returns nil when the engine answers; the error's text may be shown.
	Ready(ctx context.Context) error
	// Prepare makes what a user needs before the first schema.
	Prepare(ctx context.Context, tenant Tenant) error
	// Create prepares the user and makes a schema, of which the user's role can make use, and nobody else.
	Create(ctx context.Context, tenant Tenant, resourceID string) error
	// Delete drops a schema with its content. With last it also drops what the user has no use for any more, if that is
	// configured, where it holds nothing. It tells whether the user has nothing left.
	Delete(ctx context.Context, r Resource, last bool) (nothing bool, err error)
	// Remove drops the user's role and own database, where they hold nothing. It tells whether the user has nothing left.
	Remove(ctx context.Context, userUID string) (nothing bool, err error)
	// TenantParts are the parts that a user has beside schemas, by the configuration; TenantName is their name.
	TenantParts() []string
	TenantName(userUID string) string
	// Tenants asks which of TenantParts exist, of each of these users.
	Tenants(ctx context.Context, userUIDs []string) (parts map[string][]string, err error)
	// Exists tells whether a schema is there.
	Exists(ctx context.Context, r Resource) (bool, error)
	// List hands all schemas that Inner has made to page, in pages, and returns nil only when those were all.
	List(ctx context.Context, page func([]Resource) error) error
	// Sizes measures all schemas. Databases that could not be measured are left out, and counted.
	Sizes(ctx context.Context) (sizes []Size, missed int, err error)
	// Name is the name of a resource in the engine: what Sizes and List call it.
	Name(r Resource) string
	// Fingerprint changes with what a user's role is to be like.
	Fingerprint(key string) string
}

// KV is the engine of key-value namespaces. Every method may be called again at any time.
type KV interface {
	// Configured tells whether there is an engine.
	Configured() bool
	// Ready returns nil when the engine answers; the error's text may be shown.
	Ready(ctx context.Context) error
	// Create records a namespace. ErrBusy: an earlier one of the same name is not gone yet.
	Create(ctx context.Context, r Resource) error
	// Delete marks a namespace as deleted and removes its keys. Its prefix stays taken until a Sweep finds that late
	// writers have left nothing.
	Delete(ctx context.Context, r Resource) error
	// Exists tells whether a namespace is recorded and not deleted.
	Exists(ctx context.Context, r Resource) (bool, error)
	// List hands all namespaces that are recorded and not deleted to page, in pages, and returns nil only when those were
	// all.
	List(ctx context.Context, page func([]Resource) error) error
	// Sweep removes what was written into deleted namespaces, and forgets those in which nothing was found for long
	// enough. It returns how many are left.
	Sweep(ctx context.Context) (left int, err error)
}

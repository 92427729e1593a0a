// Package engine is what the jobs of combinator ask of the engines that hold users' data, the same of each kind.
package engine

import (
	"context"
	"errors"
	"strings"
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
	// ErrUnfinished: a part of it is done, and others have their turn before the next one.
	ErrUnfinished = errors.New("done in part")
	// ErrElsewhere: an earlier release has made it, under another name than the configuration gives. Nobody can tell whether that
	// was this platform's.
	ErrElsewhere = errors.New("under another name")
	// ErrLost: the user was prepared, and something of that is missing. Nothing was made; it is for a Tenant that is Stale.
	ErrLost = errors.New("missing in the engine")
	// ErrUncertain: what was asked may still be carried out.
	ErrUncertain = errors.New("outcome unknown")
	// ErrClosed: the engine does not tell this to anybody.
	ErrClosed = errors.New("kept closed by the engine")
)

// Kept is what could not be dropped because of something else that stays, with the names of some of that.
type Kept struct {
	What string
	By   []string
}

// Error names it, for operators.
func (k *Kept) Error() string { return k.What + " is kept by " + strings.Join(k.By, ", ") }

// Foreign is what was made by another platform, or for another user, and stays as it is.
type Foreign struct{ What string }

// Error names it, for operators.
func (f *Foreign) Error() string { return f.What + " is another platform's" }

// Resource names what a user has in an engine.
type Resource struct{ UserUID, ResourceID string }

// Found is a resource that is in an engine.
type Found struct {
	Resource
	// Unclaimed says that its mark names no platform, as those of an earlier release: whose it is only a row can tell.
	Unclaimed bool
	// InClear says that its mark is this platform's and to be written anew.
	InClear bool
}

// Place is what a user has in the RDB engine beside schemas: the names of the role, and of the own database. Either is "" where
// users have none.
type Place struct{ Role, Database string }

// Recorded returns p with the names that are recorded of a user instead, where p has any.
func (p Place) Recorded(names Place) Place {
	if p.Role != "" && names.Role != "" {
		p.Role = names.Role
	}
	if p.Database != "" && names.Database != "" {
		p.Database = names.Database
	}
	return p
}

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
	// Place is where the user's things are. With Own, this platform's rows say that it has made them, so that what is there
	// without a mark was begun by it.
	Place Place
	Own   bool
}

// What a user has in the RDB engine beside schemas.
const (
	RolePart     = "role"
	DatabasePart = "database"
	// MarkPart is the mark of this platform, on all of a thing's other parts.
	MarkPart = "mark"
)

// RDB is the engine of SQL schemas. Every method may be called again at any time.
type RDB interface {
	// Configured tells whether there is an engine.
	Configured() bool
	// Ready returns nil when the engine answers; the error's text may be shown.
	Ready(ctx context.Context) error
	// Prepare makes what a user needs before the first schema.
	Prepare(ctx context.Context, tenant Tenant) error
	// Create prepares the user and makes a schema of this name, of which the user's role can make use, and nobody else. A
	// schema of the name that is there already is taken over, unless it is another platform's: *Foreign.
	Create(ctx context.Context, tenant Tenant, r Resource, name string) error
	// Find returns the name of the schema that carries the resource's mark, "" where there is none in the user's place, or
	// ErrElsewhere.
	Find(ctx context.Context, place Place, r Resource) (name string, err error)
	// Delete drops the resource's schema of this name with its content, unless it is another platform's: *Foreign. With last it tells
	// whether the user has nothing left.
	Delete(ctx context.Context, tenant Tenant, r Resource, name string, last bool) (nothing bool, err error)
	// Clear removes what is in no schema of a user who has none any more, and drops, if that is configured, what the user has no
	// use for, where it holds nothing. It tells whether the user has nothing left, or, as *Foreign, what another platform has of it.
	Clear(ctx context.Context, tenant Tenant) (nothing bool, err error)
	// Remove keeps the role of a user who is gone from logging in, and drops it and the own database, where they are this
	// platform's. It tells whether the user has nothing left, or, as *Kept or *Foreign, what keeps something of it.
	Remove(ctx context.Context, tenant Tenant) (nothing bool, err error)
	// OpenDatabases are those of the server that everybody may connect to.
	OpenDatabases(ctx context.Context) ([]string, error)
	// UnreadableMarks counts those of this platform that its key does not open: what carries them counts as another's.
	UnreadableMarks(ctx context.Context) (int, error)
	// Strayed are those of these users whose role does not let them in with their key, by something else than Inner. Where the engine tells
	// Inner nothing of passwords it is not sure. Of many that it has not looked at before it may leave some to later calls.
	Strayed(ctx context.Context, tenants []Tenant) (strayed map[string]bool, isSure bool, err error)
	// TenantParts are the parts that a user has beside schemas, by the configuration.
	TenantParts() []string
	// Place names them by the configuration.
	Place(userUID string) Place
	// Tenants asks which parts exist, of each of these users, and are this platform's. With MarkPart among them all of them
	// carry its mark.
	Tenants(ctx context.Context, tenants []Tenant) (parts map[string][]string, err error)
	// List hands all schemas that this platform has made to page, and those of which that is not known, in pages, and returns
	// nil only when those were all.
	List(ctx context.Context, page func([]Found) error) error
	// Sizes measures all schemas, by their names. Databases that could not be measured, and schemas in which somebody holds a
	// table, are left out, and counted. ErrClosed: the engine does not tell.
	Sizes(ctx context.Context) (sizes []Size, missed int, err error)
	// Name is the name of a resource by the configuration, what a new one is called.
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
	// Create records a namespace with this prefix. ErrBusy: an earlier one of the same name is not gone yet. *Foreign: it is
	// another platform's.
	Create(ctx context.Context, r Resource, prefix string) error
	// Find returns the prefix of a resource's namespace, "" where none is recorded, or ErrElsewhere. It reads all records.
	Find(ctx context.Context, r Resource) (prefix string, err error)
	// Delete marks a namespace as deleted and removes its keys, unless it is another platform's: *Foreign. Its prefix stays taken
	// until a Sweep finds that late writers have left nothing.
	Delete(ctx context.Context, r Resource, prefix string) error
	// List hands all namespaces that are recorded and not deleted to page, those of which it is not known which platform made
	// them too, in pages, and returns nil only when those were all.
	List(ctx context.Context, page func([]Found) error) error
	// Name is the prefix of a resource by the configuration, what a new one gets.
	Name(r Resource) string
	// Sweep removes what was written into deleted namespaces, and forgets those in which nothing was found for long
	// enough. It returns how many are left.
	Sweep(ctx context.Context) (left int, err error)
}

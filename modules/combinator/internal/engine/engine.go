// Package engine declares the interfaces of the engines that hold users' data, and their errors.
package engine

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Errors of engines. Their causes are for the log.
var (
	// ErrNotConfigured: this platform has no such engine.
	ErrNotConfigured = errors.New("not configured")
	// ErrUnavailable: the engine does not answer or refuses the login; the request may have been carried out.
	ErrUnavailable = errors.New("unavailable")
	// ErrDatabaseUnavailable is ErrUnavailable of a user's own database: the server may answer for other users.
	ErrDatabaseUnavailable = fmt.Errorf("%w: a user's own database", ErrUnavailable)
	// ErrBusy: another session holds the object for a while.
	ErrBusy = errors.New("in use")
	// ErrInvalid: the engine can never accept the input.
	ErrInvalid = errors.New("invalid")
	// ErrUnfinished: a part of the request was carried out; the rest waits until other users had their turn.
	ErrUnfinished = errors.New("partly done")
	// ErrOtherName: an earlier release made the object under another name than the configuration gives. Whether it was this
	// platform is unknown.
	ErrOtherName = errors.New("under another name")
	// ErrMissing: the user was prepared, and a part of that is missing. Nothing was created; the caller repeats the call
	// with a Tenant that is Stale.
	ErrMissing = errors.New("missing in the engine")
	// ErrUncertain: the request may still be carried out.
	ErrUncertain = errors.New("outcome unknown")
	// ErrForbidden: the engine does not permit the query to Inner.
	ErrForbidden = errors.New("not permitted by the engine")
)

// CheckDeadline returns the error of ctx, and context.DeadlineExceeded already when the deadline has passed: the timers of a
// process that was stopped for a while may fire only after its next request to an engine.
func CheckDeadline(ctx context.Context) error {
	if deadline, ok := ctx.Deadline(); ok && !time.Now().Before(deadline) {
		return context.DeadlineExceeded
	}
	return ctx.Err()
}

// DependencyError says that an object could not be dropped because other objects depend on it, and names some of them.
type DependencyError struct {
	Object     string
	Dependents []string
}

// Error names the objects, for operators.
func (e *DependencyError) Error() string {
	return e.Object + " is needed by " + strings.Join(e.Dependents, ", ")
}

// OtherPlatformError says that an object was made by another platform, or for another user, and is not changed.
type OtherPlatformError struct{ Object string }

// Error names the object, for operators.
func (e *OtherPlatformError) Error() string { return e.Object + " is another platform's" }

// Resource identifies a user's resource in an engine.
type Resource struct{ UserUID, ResourceID string }

// Found is a resource that exists in an engine.
type Found struct {
	Resource
	// Unclaimed is true when its mark names no platform, as marks of an earlier release: only a row can tell which platform
	// it belongs to.
	Unclaimed bool
	// Unencrypted is true when its mark is this platform's and has to be encrypted.
	Unencrypted bool
}

// TenantNames are the names of a user's role and own database in the RDB engine. Either is "" where users have none.
type TenantNames struct{ Role, Database string }

// WithRecorded returns the names with those replaced that are recorded of the user.
func (n TenantNames) WithRecorded(recorded TenantNames) TenantNames {
	if n.Role != "" && recorded.Role != "" {
		n.Role = recorded.Role
	}
	if n.Database != "" && recorded.Database != "" {
		n.Database = recorded.Database
	}
	return n
}

// Size is the size of a resource.
type Size struct {
	// Name is the resource's name in the engine.
	Name  string
	Bytes int64
}

// Tenant is a user of the RDB engine.
type Tenant struct {
	UserUID string
	// Key is the user's secret key.
	Key string
	// Stale is true when the user's role may lack this key or the present limits.
	Stale bool
	// Names are the names of the user's role and database. Owned is true when the rows of this platform say that it created
	// them, so that objects without a mark are its own.
	Names TenantNames
	Owned bool
}

// Parts that a user has in the RDB engine besides schemas.
const (
	RolePart     = "role"
	DatabasePart = "database"
	// MarkPart says that all other parts carry the mark of this platform.
	MarkPart = "mark"
)

// RDB is the engine of SQL schemas. Every method may be repeated at any time.
type RDB interface {
	// Configured reports whether there is an engine.
	Configured() bool
	// Ready returns nil when the engine answers; the error's text may be shown.
	Ready(ctx context.Context) error
	// Prepare creates the role and the database that a user needs before the first schema.
	Prepare(ctx context.Context, tenant Tenant) error
	// Create prepares the user and creates a schema of this name, which only the user's role may use. An existing schema of
	// the name is adopted, or *OtherPlatformError returned.
	Create(ctx context.Context, tenant Tenant, r Resource, name string) error
	// Find returns the name of the schema that carries the resource's mark, "" when the user's database has none, or
	// ErrOtherName.
	Find(ctx context.Context, names TenantNames, r Resource) (name string, err error)
	// Delete drops the resource's schema of this name with its content, or returns *OtherPlatformError. With last it tells
	// whether the user has nothing left in the engine.
	Delete(ctx context.Context, tenant Tenant, r Resource, name string, last bool) (empty bool, err error)
	// Cleanup removes what is in no schema of a user who has no schema left and, if configured, drops the unused role and
	// the empty own database. It reports whether the user has nothing left; *OtherPlatformError names what another platform
	// has under the user's names.
	Cleanup(ctx context.Context, tenant Tenant) (empty bool, err error)
	// Remove disables the login of a deleted user's role, and drops the role and the own database when they are this
	// platform's. It reports whether the user has nothing left; *DependencyError names what prevents the drop, and
	// *OtherPlatformError what another platform has under the user's names.
	Remove(ctx context.Context, tenant Tenant) (empty bool, err error)
	// OpenDatabases returns the databases of the server to which every role may connect.
	OpenDatabases(ctx context.Context) ([]string, error)
	// CountUnreadableMarks counts the marks of this platform that its key does not decrypt: the objects that carry them are
	// treated as another platform's.
	CountUnreadableMarks(ctx context.Context) (int, error)
	// ListDrifted returns those of these users whose role does not accept their key because of a change that Inner did not
	// make. isSure is false when the engine does not let Inner read password verifiers. Verification is bounded: some users
	// may be left to later calls.
	ListDrifted(ctx context.Context, tenants []Tenant) (drifted map[string]bool, isSure bool, err error)
	// DesiredParts returns the parts that the configuration gives a user besides schemas.
	DesiredParts() []string
	// TenantNames returns their names by the configuration.
	TenantNames(userUID string) TenantNames
	// ActualParts returns which parts of each of these users exist and are this platform's. MarkPart is among them when all
	// carry its mark.
	ActualParts(ctx context.Context, tenants []Tenant) (parts map[string][]string, err error)
	// List calls page with all schemas of this platform, and with those whose platform is unknown. It returns nil only after
	// a complete list.
	List(ctx context.Context, page func([]Found) error) error
	// Sizes measures all schemas, by name. It leaves out, and counts, databases that could not be measured and schemas with
	// a locked table. ErrForbidden: the engine does not permit the query.
	Sizes(ctx context.Context) (sizes []Size, skipped int, err error)
	// Name returns the name of a new resource by the configuration.
	Name(r Resource) string
	// Fingerprint returns a hash of the desired key and settings of a user's role.
	Fingerprint(key string) string
}

// KV is the engine of key-value namespaces. Every method may be repeated at any time.
type KV interface {
	// Configured reports whether there is an engine.
	Configured() bool
	// Ready returns nil when the engine answers; the error's text may be shown.
	Ready(ctx context.Context) error
	// Create records a namespace with this prefix. ErrBusy: an earlier namespace of the name is still being deleted.
	// *OtherPlatformError: it is another platform's.
	Create(ctx context.Context, r Resource, prefix string) error
	// Find returns the prefix of a resource's namespace, "" when none is recorded, or ErrOtherName. It reads all records.
	Find(ctx context.Context, r Resource) (prefix string, err error)
	// Delete marks a namespace as deleted and deletes its keys, or returns *OtherPlatformError. The prefix cannot be reused
	// until Sweep finds that late writers have left no keys.
	Delete(ctx context.Context, r Resource, prefix string) error
	// List calls page with all recorded namespaces that are not deleted, including those whose platform is unknown. It
	// returns nil only after a complete list.
	List(ctx context.Context, page func([]Found) error) error
	// Name returns the prefix of a new resource by the configuration.
	Name(r Resource) string
	// Sweep deletes keys that were written into deleted namespaces, and forgets namespaces that stayed empty long enough. It
	// returns how many deleted namespaces remain.
	Sweep(ctx context.Context) (remaining int, err error)
}

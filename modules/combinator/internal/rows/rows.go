// Package rows reads and updates what the database wishes of resources: users and combinator_resources, and Inner's own
// combinator_tenants and combinator_sizes.
package rows

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"app238.com/inner/app/config"
	"app238.com/inner/app/database"
	"app238.com/inner/ent"
	"app238.com/inner/ent/combinatorresource"
	"app238.com/inner/ent/combinatortenant"
	"app238.com/inner/ent/user"
)

// Values of combinator_resources.status.
const (
	Active  = "active"
	Error   = "error"
	Loading = "loading"
)

// Values of combinator_resources.resource_type.
const (
	RDB = "rdb"
	KV  = "kv"
)

// The reasons why ids do not belong together.
var (
	ErrNoResource = errors.New("no such resource of this user")
	ErrNoUser     = errors.New("no such user")
)

// Rows is the repository.
type Rows struct {
	client  *ent.Client
	db      *sql.DB
	timeout time.Duration
}

// New returns the repository.
func New(client *ent.Client, db *sql.DB, c *config.Config) *Rows {
	return &Rows{client: client, db: db, timeout: c.Database.StatementTimeout}
}

// Resource returns the row of a user's resource of a type, the first where there are several, or ErrNoResource.
func (r *Rows) Resource(ctx context.Context, userUID, resourceID, kind string) (*ent.CombinatorResource, error) {
	ctx, cancel := context.WithTimeout(ctx, r.timeout)
	defer cancel()
	found, err := r.client.CombinatorResource.Query().Where(combinatorresource.UserUID(userUID),
		combinatorresource.ResourceID(resourceID), combinatorresource.ResourceType(kind)).
		Order(combinatorresource.ByID()).First(ctx)
	if ent.IsNotFound(err) {
		return nil, ErrNoResource
	}
	return found, err
}

// Earlier counts the user's other resources of the same type that were asked for before this one and did not fail.
func (r *Rows) Earlier(ctx context.Context, resource *ent.CombinatorResource) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, r.timeout)
	defer cancel()
	return r.client.CombinatorResource.Query().Where(combinatorresource.UserUID(resource.UserUID),
		combinatorresource.ResourceType(resource.ResourceType), combinatorresource.IDLT(resource.ID),
		combinatorresource.ResourceIDNEQ(resource.ResourceID), combinatorresource.StatusNEQ(Error)).Count(ctx)
}

// Others tells whether the user has further resources of the type.
func (r *Rows) Others(ctx context.Context, userUID, resourceID, kind string) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, r.timeout)
	defer cancel()
	return r.client.CombinatorResource.Query().Where(combinatorresource.UserUID(userUID),
		combinatorresource.ResourceType(kind), combinatorresource.ResourceIDNEQ(resourceID)).Exist(ctx)
}

// Mark writes status and message to the rows of a resource, where they say something else. Rows that are gone are not an
// error: nobody wishes to know.
func (r *Rows) Mark(ctx context.Context, userUID, resourceID, kind, status, message string) error {
	ctx, cancel := context.WithTimeout(ctx, r.timeout)
	defer cancel()
	return database.Retry(ctx, func(ctx context.Context) error {
		return r.client.CombinatorResource.Update().Where(combinatorresource.UserUID(userUID),
			combinatorresource.ResourceID(resourceID), combinatorresource.ResourceType(kind),
			combinatorresource.Or(combinatorresource.StatusNEQ(status), combinatorresource.MsgNEQ(message))).
			SetStatus(status).SetMsg(message).Exec(ctx)
	})
}

// SecretKey returns the user's key, or ErrNoUser.
func (r *Rows) SecretKey(ctx context.Context, userUID string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, r.timeout)
	defer cancel()
	found, err := r.client.User.Query().Where(user.UID(userUID)).Only(ctx)
	if ent.IsNotFound(err) {
		return "", ErrNoUser
	}
	if err != nil {
		return "", err
	}
	return found.SecretKey, nil
}

// ActiveResources returns the user's active resources, the oldest first.
func (r *Rows) ActiveResources(ctx context.Context, userUID string) ([]*ent.CombinatorResource, error) {
	ctx, cancel := context.WithTimeout(ctx, r.timeout)
	defer cancel()
	return r.client.CombinatorResource.Query().
		Where(combinatorresource.UserUID(userUID), combinatorresource.Status(Active)).
		Order(combinatorresource.ByID()).All(ctx)
}

// Prepared returns what the user's role was given last; see engine.RDB's Fingerprint. It is "" for a new user.
func (r *Rows) Prepared(ctx context.Context, userUID string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, r.timeout)
	defer cancel()
	found, err := r.client.CombinatorTenant.Get(ctx, userUID)
	if ent.IsNotFound(err) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	return found.Prepared, nil
}

// unknown is what the row of a user says who has something in the RDB engine of which nobody knows what it was given.
const unknown = "unknown"

// Remaining is what WithTenant's work returns after it took something away: the row stays as long as the user has
// anything, since it is by the row that the audit knows whose that is.
func Remaining(prepared string, nothing bool) string {
	switch {
	case nothing:
		return ""
	case prepared == "":
		return unknown
	}
	return prepared
}

const (
	insertTenant = `INSERT INTO combinator_tenants (user_uid) VALUES ($1) ON CONFLICT (user_uid) DO NOTHING`
	lockTenant   = `SELECT prepared FROM combinator_tenants WHERE user_uid = $1 FOR UPDATE`
	markTenant   = `UPDATE combinator_tenants SET prepared = $2, changed_at = LOCALTIMESTAMP WHERE user_uid = $1`
	forgetTenant = `DELETE FROM combinator_tenants WHERE user_uid = $1`
)

// WithTenant runs work while no other process changes what this user has in the RDB engine. Work is told what the user's
// role was given last, and returns what it was given now: the same, or "" when it has nothing there any more. It may run
// twice.
func (r *Rows) WithTenant(ctx context.Context, userUID string, work func(ctx context.Context, prepared string) (string, error)) error {
	return database.Retry(ctx, func(ctx context.Context) error {
		err := r.execute(ctx, r.db, insertTenant, userUID)
		if err != nil {
			return err
		}
		// The transaction holds the row's lock and lasts as long as work does, whose own statements have their own limits.
		tx, err := r.db.BeginTx(ctx, nil)
		if err != nil {
			return err
		}
		defer func() { _ = tx.Rollback() }()
		var prepared string
		if err := r.lock(ctx, tx, userUID, &prepared); err != nil {
			return err
		}
		now, err := work(ctx, prepared)
		switch {
		case err != nil:
			return err
		case now == prepared && now != "":
			return nil
		case now == "":
			err = r.execute(ctx, tx, forgetTenant, userUID)
		default:
			err = r.execute(ctx, tx, markTenant, userUID, now)
		}
		if err != nil {
			return err
		}
		return tx.Commit()
	})
}

// lock takes the row's lock. The row may have been forgotten since it was inserted: then nothing is prepared.
func (r *Rows) lock(ctx context.Context, tx *sql.Tx, userUID string, prepared *string) error {
	ctx, cancel := context.WithTimeout(ctx, r.timeout)
	defer cancel()
	err := tx.QueryRowContext(ctx, lockTenant, userUID).Scan(prepared)
	if errors.Is(err, sql.ErrNoRows) {
		return errForgotten
	}
	return err
}

var errForgotten = errors.New("the tenant's row was removed meanwhile")

// executor is a database or a transaction.
type executor interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
}

func (r *Rows) execute(ctx context.Context, on executor, statement string, args ...any) error {
	ctx, cancel := context.WithTimeout(ctx, r.timeout)
	defer cancel()
	_, err := on.ExecContext(ctx, statement, args...)
	return err
}

// Tenant is a user of the RDB engine.
type Tenant struct{ UserUID, Key, Prepared string }

// Tenants returns the users of the RDB engine with uids after the given one, in their order.
func (r *Rows) Tenants(ctx context.Context, after string, limit int) ([]Tenant, error) {
	ctx, cancel := context.WithTimeout(ctx, r.timeout)
	defer cancel()
	found, err := r.client.CombinatorTenant.Query().Where(combinatortenant.IDGT(after)).
		Order(combinatortenant.ByID()).Limit(limit).All(ctx)
	if err != nil || len(found) == 0 {
		return nil, err
	}
	tenants := make([]Tenant, len(found))
	uids := make([]string, len(found))
	for i, t := range found {
		tenants[i], uids[i] = Tenant{UserUID: t.ID, Prepared: t.Prepared}, t.ID
	}
	users, err := r.client.User.Query().Where(user.UIDIn(uids...)).All(ctx)
	if err != nil {
		return nil, err
	}
	keys := map[string]string{}
	for _, u := range users {
		keys[u.UID] = u.SecretKey
	}
	for i := range tenants {
		tenants[i].Key = keys[tenants[i].UserUID]
	}
	return tenants, nil
}

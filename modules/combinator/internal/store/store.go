// Package store is combinator's store: it reads and updates users, combinator_resources and combinator_resource_reports, and
// Inner's own combinator_tenants, combinator_places and combinator_sizes.
package store

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"app238.com/inner/app/config"
	"app238.com/inner/app/database"
	"app238.com/inner/ent"
	"app238.com/inner/ent/combinatorresource"
	"app238.com/inner/ent/predicate"
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

// Errors of ids that do not belong together.
var (
	ErrNoResource = errors.New("no such resource of this user")
	ErrNoUser     = errors.New("no such user")
)

// Store implements jobs.Store and admin.Admin.
type Store struct {
	client  *ent.Client
	db      *sql.DB
	timeout time.Duration
	// platform is the mark of this platform in its rows.
	platform string
	// engineTimeout is the longest duration of a statement in the RDB engine.
	engineTimeout time.Duration
}

// New returns the store.
func New(client *ent.Client, db *sql.DB, c *config.Config) *Store {
	return &Store{client: client, db: db, timeout: c.Database.StatementTimeout, platform: c.PlatformMark(),
		engineTimeout: c.Combinator.RDB.RequestTimeout}
}

// Resource returns the row of a user's resource of a type, the first of several, or ErrNoResource.
func (s *Store) Resource(ctx context.Context, userUID, resourceID, kind string) (*ent.CombinatorResource, error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	found, err := s.client.CombinatorResource.Query().Where(combinatorresource.UserUID(userUID),
		combinatorresource.ResourceID(resourceID), combinatorresource.ResourceType(kind)).
		Order(combinatorresource.ByID()).First(ctx)
	if ent.IsNotFound(err) {
		return nil, ErrNoResource
	}
	return found, err
}

// CountEarlier counts the user's other resources of the same type that were requested before this one and did not fail.
func (s *Store) CountEarlier(ctx context.Context, resource *ent.CombinatorResource) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	return s.client.CombinatorResource.Query().Where(combinatorresource.UserUID(resource.UserUID),
		combinatorresource.ResourceType(resource.ResourceType), combinatorresource.IDLT(resource.ID),
		combinatorresource.ResourceIDNEQ(resource.ResourceID), combinatorresource.StatusNEQ(Error)).Count(ctx)
}

// HasOthers reports whether the user has other resources of the type.
func (s *Store) HasOthers(ctx context.Context, userUID, resourceID, kind string) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	return s.client.CombinatorResource.Query().Where(combinatorresource.UserUID(userUID),
		combinatorresource.ResourceType(kind), combinatorresource.ResourceIDNEQ(resourceID)).Exist(ctx)
}

// SetStatus writes status and message to the rows of a resource that differ. Deleted rows are not an error.
func (s *Store) SetStatus(ctx context.Context, userUID, resourceID, kind, status, message string) error {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	return database.Retry(ctx, func(ctx context.Context) error {
		return s.client.CombinatorResource.Update().Where(combinatorresource.UserUID(userUID),
			combinatorresource.ResourceID(resourceID), combinatorresource.ResourceType(kind),
			combinatorresource.Or(combinatorresource.StatusNEQ(status), combinatorresource.MsgNEQ(message))).
			SetStatus(status).SetMsg(message).Exec(ctx)
	})
}

// SecretKey returns the user's key, or ErrNoUser.
func (s *Store) SecretKey(ctx context.Context, userUID string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	found, err := s.client.User.Query().Where(user.UID(userUID)).Only(ctx)
	if ent.IsNotFound(err) {
		return "", ErrNoUser
	}
	if err != nil {
		return "", err
	}
	return found.SecretKey, nil
}

// ActiveResources returns the user's active resources, the oldest first.
func (s *Store) ActiveResources(ctx context.Context, userUID string) ([]*ent.CombinatorResource, error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	return s.client.CombinatorResource.Query().
		Where(combinatorresource.UserUID(userUID), combinatorresource.Status(Active)).
		Order(combinatorresource.ByID()).All(ctx)
}

// retry runs work, and again after serialization failures, each time within the statement timeout.
func (s *Store) retry(ctx context.Context, work func(ctx context.Context) error) error {
	return database.Retry(ctx, func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, s.timeout)
		defer cancel()
		return work(ctx)
	})
}

// execute runs a statement with retry.
func (s *Store) execute(ctx context.Context, statement string, args ...any) error {
	return s.retry(ctx, func(ctx context.Context) error {
		_, err := s.db.ExecContext(ctx, statement, args...)
		return err
	})
}

// ListDesired returns the rows of a type with ids above after, in ascending order.
func (s *Store) ListDesired(ctx context.Context, kind string, after, limit int) ([]*ent.CombinatorResource, error) {
	return s.listResources(ctx, limit, combinatorresource.ResourceType(kind), combinatorresource.IDGT(after))
}

// ListLoading is ListDesired for the loading rows.
func (s *Store) ListLoading(ctx context.Context, kind string, after, limit int) ([]*ent.CombinatorResource, error) {
	return s.listResources(ctx, limit, combinatorresource.ResourceType(kind), combinatorresource.IDGT(after),
		combinatorresource.Status(Loading))
}

func (s *Store) listResources(
	ctx context.Context, limit int, filter ...predicate.CombinatorResource,
) ([]*ent.CombinatorResource, error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	return s.client.CombinatorResource.Query().Where(filter...).
		Order(combinatorresource.ByID()).Limit(limit).All(ctx)
}

// InTxWithStatus runs work in a transaction with the status of the resource's first row, "" when there is no row.
func (s *Store) InTxWithStatus(
	ctx context.Context, userUID, resourceID, kind string, work func(ctx context.Context, tx *ent.Tx, status string) error,
) error {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	return database.InTx(ctx, s.client, func(ctx context.Context, tx *ent.Tx) error {
		status := ""
		found, err := tx.CombinatorResource.Query().Where(combinatorresource.UserUID(userUID),
			combinatorresource.ResourceID(resourceID), combinatorresource.ResourceType(kind)).
			Order(combinatorresource.ByID()).First(ctx)
		switch {
		case err == nil:
			status = found.Status
		case !ent.IsNotFound(err):
			return err
		}
		return work(ctx, tx, status)
	})
}

package store

import (
	"context"
	"time"

	"app238.com/inner/app/database"
	"app238.com/inner/ent"
	"app238.com/inner/ent/combinatorresource"
	"app238.com/inner/ent/combinatortenant"
	"app238.com/inner/ent/user"
	"app238.com/inner/modules/combinator/internal/engine"
)

// Tenant is a user of the RDB engine.
type Tenant struct {
	UserUID, Prepared string
	// Exists reports whether the user exists; Key is the user's secret key.
	Exists bool
	Key    string
	// Names and Owned are as in LeasedTenant.
	Names engine.TenantNames
	Owned bool
}

// ListTenants returns the users of the RDB engine with uids above after, in ascending order.
func (s *Store) ListTenants(ctx context.Context, after string, limit int) ([]Tenant, error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	found, err := s.client.CombinatorTenant.Query().Where(combinatortenant.IDGT(after)).
		Order(combinatortenant.ByID()).Limit(limit).All(ctx)
	if err != nil || len(found) == 0 {
		return nil, err
	}
	tenants := make([]Tenant, len(found))
	uids := make([]string, len(found))
	for i, t := range found {
		tenants[i], uids[i] = Tenant{UserUID: t.ID, Prepared: t.Prepared, Owned: t.Platform == s.platform}, t.ID
		if tenants[i].Owned {
			tenants[i].Names = engine.TenantNames{Role: t.RoleName, Database: t.DatabaseName}
		}
	}
	users, err := s.client.User.Query().Where(database.AnyOf(user.FieldUID, uids)).All(ctx)
	if err != nil {
		return nil, err
	}
	keys := map[string]string{}
	for _, u := range users {
		keys[u.UID] = u.SecretKey
	}
	for i := range tenants {
		tenants[i].Key, tenants[i].Exists = keys[tenants[i].UserUID]
	}
	return tenants, nil
}

// Owner is a user who may have objects in the RDB engine.
type Owner struct {
	ID        int64
	UserUID   string
	CreatedAt time.Time
	// Active reports whether one of the user's SQL resources is active.
	Active bool
}

// listOwners is raw SQL: it reads two tables.
const listOwners = `SELECT u.id, u.uid, u.created_at, EXISTS (
    SELECT 1 FROM combinator_resources c WHERE c.user_uid = u.uid AND c.resource_type = 'rdb' AND c.status = 'active')
FROM users u WHERE u.id > $1 ORDER BY u.id LIMIT $2`

// ListOwners returns the users with ids above after, in ascending order.
func (s *Store) ListOwners(ctx context.Context, after int64, limit int) ([]Owner, error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	found, err := s.db.QueryContext(ctx, listOwners, after, limit)
	if err != nil {
		return nil, err
	}
	defer func() { _ = found.Close() }()
	var all []Owner
	for found.Next() {
		var o Owner
		if err := found.Scan(&o.ID, &o.UserUID, &o.CreatedAt, &o.Active); err != nil {
			return nil, err
		}
		all = append(all, o)
	}
	return all, found.Err()
}

// IsTenantReferenced reports whether a user's objects in the RDB engine are desired: the user, or a SQL resource of the user,
// exists.
func (s *Store) IsTenantReferenced(ctx context.Context, userUID string) (referenced bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	err = database.InTx(ctx, s.client, func(ctx context.Context, tx *ent.Tx) error {
		referenced, err = isTenantReferenced(ctx, tx, userUID)
		return err
	})
	return referenced, err
}

func isTenantReferenced(ctx context.Context, tx *ent.Tx, userUID string) (bool, error) {
	found, err := tx.User.Query().Where(user.UID(userUID)).Exist(ctx)
	if err != nil || found {
		return found, err
	}
	return tx.CombinatorResource.Query().
		Where(combinatorresource.UserUID(userUID), combinatorresource.ResourceType(RDB)).Exist(ctx)
}

// InTxWithTenant runs work in a transaction that has read whether a user's objects are desired, and which SQL resources of
// the user are active.
func (s *Store) InTxWithTenant(
	ctx context.Context, userUID string, work func(ctx context.Context, tx *ent.Tx, isReferenced bool, active []string) error,
) error {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	return database.InTx(ctx, s.client, func(ctx context.Context, tx *ent.Tx) error {
		referenced, err := isTenantReferenced(ctx, tx, userUID)
		if err != nil {
			return err
		}
		active, err := tx.CombinatorResource.Query().Where(combinatorresource.UserUID(userUID),
			combinatorresource.ResourceType(RDB), combinatorresource.Status(Active)).All(ctx)
		if err != nil {
			return err
		}
		ids := make([]string, len(active))
		for i, one := range active {
			ids[i] = one.ResourceID
		}
		return work(ctx, tx, referenced, ids)
	})
}

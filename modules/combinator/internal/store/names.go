package store

import (
	"context"

	"app238.com/inner/app/database"
	"app238.com/inner/ent"
	"app238.com/inner/ent/combinatorplace"
	"app238.com/inner/ent/combinatorresource"
	"app238.com/inner/modules/combinator/internal/engine"
)

// recordName is raw SQL because it updates on conflict. A row of another platform comes from a copy of that platform's
// database: this platform has created nothing under it.
const recordName = `INSERT INTO combinator_places (resource_type, user_uid, resource_id, platform, name) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (resource_type, user_uid, resource_id) DO UPDATE SET platform = excluded.platform, name = excluded.name
WHERE combinator_places.platform <> excluded.platform`

// countNames is raw SQL: it counts in two tables.
const countNames = `SELECT count(*) FILTER (WHERE p.platform = $1), count(*) FROM (
    SELECT platform FROM combinator_places UNION ALL SELECT platform FROM combinator_tenants WHERE platform <> '') AS p`

// ResourceName returns the name of a resource that this platform created in its engine, "" when none is recorded.
func (s *Store) ResourceName(ctx context.Context, kind string, of engine.Resource) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	found, err := s.client.CombinatorPlace.Query().Where(combinatorplace.ResourceType(kind), combinatorplace.UserUID(of.UserUID),
		combinatorplace.ResourceID(of.ResourceID), combinatorplace.Platform(s.platform)).Only(ctx)
	if ent.IsNotFound(err) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	return found.Name, nil
}

// RecordName records the name under which this platform is going to create a resource. A recorded name stays.
func (s *Store) RecordName(ctx context.Context, kind string, of engine.Resource, name string) error {
	return s.execute(ctx, recordName, kind, of.UserUID, of.ResourceID, s.platform, name)
}

// DeleteName deletes the recorded name of a resource that was deleted from its engine.
func (s *Store) DeleteName(ctx context.Context, kind string, of engine.Resource) error {
	return s.retry(ctx, func(ctx context.Context) error {
		_, err := s.client.CombinatorPlace.Delete().Where(combinatorplace.ResourceType(kind),
			combinatorplace.UserUID(of.UserUID), combinatorplace.ResourceID(of.ResourceID)).Exec(ctx)
		return err
	})
}

// ResourceName is the recorded name of a resource in its engine, a row of combinator_places.
type ResourceName struct {
	ID       int64
	Resource engine.Resource
	Name     string
}

// ListNames returns the recorded names of this platform's resources of a type with ids above after, in ascending order.
func (s *Store) ListNames(ctx context.Context, kind string, after int64, limit int) ([]ResourceName, error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	found, err := s.client.CombinatorPlace.Query().Where(combinatorplace.ResourceType(kind), combinatorplace.Platform(s.platform),
		combinatorplace.IDGT(after)).Order(combinatorplace.ByID()).Limit(limit).All(ctx)
	if err != nil {
		return nil, err
	}
	names := make([]ResourceName, len(found))
	for i, one := range found {
		names[i] = ResourceName{ID: one.ID, Resource: engine.Resource{UserUID: one.UserUID, ResourceID: one.ResourceID}, Name: one.Name}
	}
	return names, nil
}

// MarkKey returns the secret key of the marks in the engines.
func (s *Store) MarkKey(ctx context.Context) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	return database.MarkKey(ctx, s.db)
}

// CountNames counts the recorded names: those of this platform, and all.
func (s *Store) CountNames(ctx context.Context) (own, all int, err error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	err = s.db.QueryRowContext(ctx, countNames, s.platform).Scan(&own, &all)
	return own, all, err
}

// ReferencedResources returns those of the resources that have a row.
func (s *Store) ReferencedResources(ctx context.Context, kind string, of []engine.Resource) (map[engine.Resource]bool, error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	ids := make([]string, len(of))
	for i, one := range of {
		ids[i] = one.ResourceID
	}
	found, err := s.client.CombinatorResource.Query().
		Where(combinatorresource.ResourceType(kind), database.AnyOf(combinatorresource.FieldResourceID, ids)).All(ctx)
	if err != nil {
		return nil, err
	}
	referenced := map[engine.Resource]bool{}
	for _, one := range found {
		referenced[engine.Resource{UserUID: one.UserUID, ResourceID: one.ResourceID}] = true
	}
	return referenced, nil
}

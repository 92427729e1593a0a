package store

import (
	"context"

	"app238.com/inner/app/database"
	"app238.com/inner/ent"
	"app238.com/inner/ent/combinatorresource"
	"app238.com/inner/ent/predicate"
)

// Wishes returns the rows of a type with ids above after, in their order.
func (r *Store) Desired(ctx context.Context, kind string, after, limit int) ([]*ent.CombinatorResource, error) {
	return r.isReferenced(ctx, limit, combinatorresource.ResourceType(kind), combinatorresource.IDGT(after))
}

// Loading is Wishes for the rows that are loading.
func (r *Store) Loading(ctx context.Context, kind string, after, limit int) ([]*ent.CombinatorResource, error) {
	return r.isReferenced(ctx, limit, combinatorresource.ResourceType(kind), combinatorresource.IDGT(after), combinatorresource.Status(Loading))
}

func (r *Store) isReferenced(ctx context.Context, limit int, which ...predicate.CombinatorResource) ([]*ent.CombinatorResource, error) {
	ctx, cancel := context.WithTimeout(ctx, r.timeout)
	defer cancel()
	return r.client.CombinatorResource.Query().Where(which...).
		Order(combinatorresource.ByID()).Limit(limit).All(ctx)
}

// Look runs work in a transaction in which it is known what the rows of a resource say: the first one's status, "" where
// there is none.
func (r *Store) Look(ctx context.Context, userUID, resourceID, kind string, work func(ctx context.Context, tx *ent.Tx, status string) error) error {
	ctx, cancel := context.WithTimeout(ctx, r.timeout)
	defer cancel()
	return database.InTx(ctx, r.client, func(ctx context.Context, tx *ent.Tx) error {
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

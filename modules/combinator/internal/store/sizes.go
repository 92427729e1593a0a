package store

import (
	"context"

	"app238.com/inner/app/database"
	"app238.com/inner/modules/combinator/internal/engine"
)

// These statements are raw SQL: rdbPage joins two tables, saveSizes writes a batch, deleteOldSizes compares two tables, and
// largestSizes has a window function.
const (
	// rdbPage reads the SQL resources with their recorded names, in the order of their ids.
	rdbPage = `SELECT r.id, r.user_uid, r.resource_id, COALESCE(p.name, '') FROM combinator_resources r
LEFT JOIN combinator_places p ON p.resource_type = r.resource_type AND p.user_uid = r.user_uid AND p.resource_id = r.resource_id
    AND p.platform = $3
WHERE r.resource_type = 'rdb' AND r.id > $1 ORDER BY r.id LIMIT $2`
	// saveSizes inserts or updates sizes. The rows are distinct: a statement may touch no row twice.
	saveSizes = `INSERT INTO combinator_sizes (user_uid, resource_id, bytes, measured_at)
SELECT r.user_uid, r.resource_id, r.bytes, LOCALTIMESTAMP
FROM unnest($1::VARCHAR[], $2::VARCHAR[], $3::BIGINT[]) AS r(user_uid, resource_id, bytes)
ON CONFLICT (user_uid, resource_id) DO UPDATE SET bytes = excluded.bytes, measured_at = excluded.measured_at`
	// deleteOldSizes deletes the sizes of deleted resources.
	deleteOldSizes = `DELETE FROM combinator_sizes WHERE NOT EXISTS (SELECT 1 FROM combinator_resources c
WHERE c.user_uid = combinator_sizes.user_uid AND c.resource_id = combinator_sizes.resource_id)`
	// largestSizes repeats the sum of all sizes in each row.
	largestSizes = `SELECT user_uid, resource_id, bytes, (sum(bytes) OVER ())::BIGINT
FROM combinator_sizes ORDER BY bytes DESC, user_uid, resource_id LIMIT $1`
)

const sizesPage = 1000

// SaveSizes stores the sizes of the users' SQL schemas and deletes those of deleted resources. Sizes come by the names of
// the resources; name returns the name of a resource without a recorded one.
func (s *Store) SaveSizes(ctx context.Context, name func(engine.Resource) string, sizes []engine.Size) error {
	bytes := make(map[string]int64, len(sizes))
	for _, size := range sizes {
		bytes[size.Name] = size.Bytes
	}
	for after := int64(0); ; {
		resources, last, err := s.rdbResources(ctx, after)
		if err != nil {
			return err
		}
		for i, one := range resources {
			if one.Name == "" {
				resources[i].Name = name(one.Resource)
			}
		}
		if err := s.saveSizes(ctx, resources, bytes); err != nil {
			return err
		}
		if len(resources) < sizesPage {
			break
		}
		after = last
	}
	return s.execute(ctx, deleteOldSizes)
}

// DeleteSizes deletes all sizes, as the present ones are unknown.
func (s *Store) DeleteSizes(ctx context.Context) error {
	return s.retry(ctx, func(ctx context.Context) error {
		_, err := s.client.CombinatorSize.Delete().Exec(ctx)
		return err
	})
}

func (s *Store) rdbResources(ctx context.Context, after int64) (all []ResourceName, last int64, err error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	found, err := s.db.QueryContext(ctx, rdbPage, after, sizesPage, s.platform)
	if err != nil {
		return nil, 0, err
	}
	defer func() { _ = found.Close() }()
	for found.Next() {
		var one ResourceName
		if err := found.Scan(&last, &one.Resource.UserUID, &one.Resource.ResourceID, &one.Name); err != nil {
			return nil, 0, err
		}
		all = append(all, one)
	}
	return all, last, found.Err()
}

func (s *Store) saveSizes(ctx context.Context, resources []ResourceName, bytes map[string]int64) error {
	var users, ids []string
	var measured []int64
	seen := map[engine.Resource]bool{}
	for _, one := range resources {
		n, ok := bytes[one.Name]
		if !ok || seen[one.Resource] {
			continue
		}
		seen[one.Resource] = true
		users, ids, measured = append(users, one.Resource.UserUID), append(ids, one.Resource.ResourceID), append(measured, n)
	}
	if len(users) == 0 {
		return nil
	}
	return s.execute(ctx, saveSizes, database.Array(users), database.Array(ids), database.Array(measured))
}

// Sizes is a summary of the stored sizes.
type Sizes struct {
	// Bytes is the sum of all sizes.
	Bytes int64
	// Largest are the largest ones, in falling order.
	Largest []ResourceSize
}

// ResourceSize is the size of one schema.
type ResourceSize struct {
	UserUID, ResourceID string
	Bytes               int64
}

// Sizes returns a summary with at most limit of the largest sizes.
func (s *Store) Sizes(ctx context.Context, limit int) (sizes Sizes, err error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	found, err := s.db.QueryContext(ctx, largestSizes, limit)
	if err != nil {
		return Sizes{}, err
	}
	defer func() { _ = found.Close() }()
	for found.Next() {
		var one ResourceSize
		if err := found.Scan(&one.UserUID, &one.ResourceID, &one.Bytes, &sizes.Bytes); err != nil {
			return Sizes{}, err
		}
		sizes.Largest = append(sizes.Largest, one)
	}
	return sizes, found.Err()
}

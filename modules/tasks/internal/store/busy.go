package store

import (
	"context"

	"app238.com/inner/app/database"
)

// One scalar look-up for each key and state, so that each is answered by its partial index, whatever the statistics say.
const activeKeys = `
SELECT k FROM unnest($1::TEXT[]) AS t(k)
WHERE (SELECT e.id FROM console_tasks e WHERE e.ordering_key = t.k AND e.task_status = 'pending' LIMIT 1) IS NOT NULL
   OR (SELECT e.id FROM console_tasks e WHERE e.ordering_key = t.k AND e.task_status = 'processing' LIMIT 1) IS NOT NULL
   OR (SELECT e.id FROM console_tasks e WHERE e.ordering_key = t.k AND e.task_status = 'waiting' LIMIT 1) IS NOT NULL`

// Busy implements job.Busy.
func (s *Store) ActiveKeys(ctx context.Context, orderingKeys []string) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	var busy []string
	err := database.Retry(ctx, func(ctx context.Context) error {
		busy = nil
		rows, err := s.db.QueryContext(ctx, activeKeys, database.Array(orderingKeys))
		if err != nil {
			return err
		}
		defer func() { _ = rows.Close() }()
		for rows.Next() {
			var key string
			if err := rows.Scan(&key); err != nil {
				return err
			}
			busy = append(busy, key)
		}
		return rows.Err()
	})
	return busy, err
}

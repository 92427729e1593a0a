package store

import (
	"context"
	"database/sql"
	"errors"

	"app238.com/inner/app/database"
)

// One scalar subquery for each key and state, so that each uses its partial index, whatever the statistics say.
const activeKeys = `
SELECT k FROM unnest($1::TEXT[]) AS t(k)
WHERE (SELECT e.id FROM console_tasks e WHERE e.ordering_key = t.k AND e.task_status = 'pending' LIMIT 1) IS NOT NULL
   OR (SELECT e.id FROM console_tasks e WHERE e.ordering_key = t.k AND e.task_status = 'processing' LIMIT 1) IS NOT NULL
   OR (SELECT e.id FROM console_tasks e WHERE e.ordering_key = t.k AND e.task_status = 'waiting' LIMIT 1) IS NOT NULL`

// ActiveKeys implements job.ActiveKeys.
func (s *Store) ActiveKeys(ctx context.Context, orderingKeys []string) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	var active []string
	err := database.Retry(ctx, func(ctx context.Context) error {
		active = nil
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
			active = append(active, key)
		}
		return rows.Err()
	})
	return active, err
}

// Each state has its own partial index by ordering key.
const activeTypes = `
SELECT task_type FROM console_tasks WHERE ordering_key = $1 AND id > $2 AND task_status = 'pending'
UNION ALL SELECT task_type FROM console_tasks WHERE ordering_key = $1 AND id > $2 AND task_status = 'processing'
UNION ALL SELECT task_type FROM console_tasks WHERE ordering_key = $1 AND id > $2 AND task_status = 'waiting'`

// ActiveTypes returns the types of the pending, processing and waiting tasks of a key with an id above after.
func (s *Store) ActiveTypes(ctx context.Context, orderingKey string, after int64) ([]string, error) {
	return collect(ctx, s, s.db, activeTypes, func(rows *sql.Rows, jobType *string) error {
		return rows.Scan(jobType)
	}, orderingKey, after)
}

const newestPending = `
SELECT task_info FROM console_tasks
WHERE ordering_key = $1 AND task_status = 'pending' AND task_type = $2 AND id > $3 ORDER BY id DESC LIMIT 1`

// NewestPending returns the payload of the newest pending task of a key and type with an id above after, or nil.
func (s *Store) NewestPending(ctx context.Context, orderingKey, jobType string, after int64) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	var info string
	err := s.db.QueryRowContext(ctx, newestPending, orderingKey, jobType, after).Scan(&info)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return s.keyring.Decrypt(info)
}

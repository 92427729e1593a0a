package store

import (
	"context"
	"database/sql"
)

// Each state has a partial index of its own by the ordering key.
const activeTypes = `
SELECT task_type FROM console_tasks WHERE ordering_key = $1 AND id > $2 AND task_status = 'pending'
UNION ALL SELECT task_type FROM console_tasks WHERE ordering_key = $1 AND id > $2 AND task_status = 'processing'
UNION ALL SELECT task_type FROM console_tasks WHERE ordering_key = $1 AND id > $2 AND task_status = 'waiting'`

// Unfinished returns the types of the tasks of a key with an id above after that have not ended.
func (s *Store) ActiveTypes(ctx context.Context, orderingKey string, after int64) ([]string, error) {
	return collect(ctx, s, s.db, activeTypes, func(rows *sql.Rows, jobType *string) error {
		return rows.Scan(jobType)
	}, orderingKey, after)
}

const eraseTask = `UPDATE console_tasks SET task_info = $2 WHERE id = $1`

// Erase replaces the payload of a task. It needs no claim: whoever erases has found the secrets in their place.
func (s *Store) EraseSecrets(ctx context.Context, id int64, info []byte) error {
	_, err := s.exec(ctx, eraseTask, id, string(info))
	return err
}

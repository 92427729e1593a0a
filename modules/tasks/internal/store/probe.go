package store

import (
	"context"
	"database/sql"

	"app238.com/inner/app/database"
)

// probeType is the job type of the row of a Probe, which is never committed.
const probeType = "inner.probe"

const deleteProbe = `DELETE FROM console_tasks WHERE id = $1`

// Probe does what an accept does, on the same connections: it inserts a task and commits. It deletes the row in the
// same transaction. Its error says why no task can be accepted.
func (s *Store) Probe(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	return database.Retry(ctx, func(ctx context.Context) error {
		return s.prepared.InTx(ctx, func(tx *sql.Tx) error {
			inserted, err := s.insert(ctx, tx, "", []NewTask{{Type: probeType, Info: []byte(`{}`)}}, nil)
			if err != nil {
				return err
			}
			_, err = tx.ExecContext(ctx, deleteProbe, inserted[0].ID)
			return err
		})
	})
}

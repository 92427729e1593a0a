package store

import (
	"context"

	"app238.com/inner/app/database"
)

const lastTickUnfinished = `
SELECT count(*) FROM console_tasks
WHERE task_status IN ('pending', 'processing', 'waiting')
  AND id = (SELECT task_id FROM inner_ticks WHERE name = $1 ORDER BY tick DESC LIMIT 1)`

const takeTick = `
INSERT INTO inner_ticks (name, tick, task_id) VALUES ($1, $2, $3) ON CONFLICT (name, tick) DO NOTHING`

const knownTick = `SELECT count(*) FROM inner_ticks WHERE name = $1 AND tick = $2`

const oldTicks = `DELETE FROM inner_ticks WHERE name = $1 AND tick < $2`

// ticksKept is how many ticks of a periodic job are remembered.
const ticksKept = 100

// Tick inserts t as the execution of a periodic job's tick and tells whether it did. It does not when this tick has
// its execution already, whoever made it, or the execution of an earlier tick has not ended.
func (s *Store) Tick(ctx context.Context, name string, tick int64, t NewTask) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	var made bool
	err := database.Retry(ctx, func(ctx context.Context) (err error) {
		made, err = s.tickOnce(ctx, name, tick, t)
		return err
	})
	return made, err
}

func (s *Store) tickOnce(ctx context.Context, name string, tick int64, t NewTask) (bool, error) {
	var known int
	if err := s.db.QueryRowContext(ctx, knownTick, name, tick).Scan(&known); err != nil || known > 0 {
		return false, err
	}
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return false, err
	}
	defer func() { _ = tx.Rollback() }()
	var unfinished int
	if err := tx.QueryRowContext(ctx, lastTickUnfinished, name).Scan(&unfinished); err != nil || unfinished > 0 {
		return false, err
	}
	inserted, err := s.InsertIn(ctx, tx, "", []NewTask{t}, nil)
	if err != nil {
		return false, err
	}
	// The unique index decides between replicas: the one whose row is refused rolls its task back.
	result, err := tx.ExecContext(ctx, takeTick, name, tick, inserted[0].ID)
	if err != nil {
		return false, err
	}
	if taken, err := result.RowsAffected(); err != nil || taken == 0 {
		return false, err
	}
	if _, err := tx.ExecContext(ctx, oldTicks, name, tick-ticksKept); err != nil {
		return false, err
	}
	return true, tx.Commit()
}

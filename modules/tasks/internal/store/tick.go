package store

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"app238.com/inner/app/database"
)

const lastTickUnfinished = `
SELECT count(*) FROM console_tasks
WHERE task_status IN ('pending', 'processing', 'waiting')
  AND id = (SELECT task_id FROM inner_ticks WHERE name = $1 ORDER BY id DESC LIMIT 1)`

const takeTick = `
INSERT INTO inner_ticks (name, tick, task_id) VALUES ($1, $2, $3) ON CONFLICT (name, tick) DO NOTHING`

const knownTick = `
SELECT count(*), COALESCE((SELECT id FROM inner_ticks WHERE name = $1 ORDER BY id DESC LIMIT 1), 0)
FROM inner_ticks WHERE name = $1 AND tick = $2`

const oldTicks = `DELETE FROM inner_ticks WHERE name = $1 AND tick < $2`

const lastTick = `
SELECT id, created_at > LOCALTIMESTAMP - $2::FLOAT8 * INTERVAL '1 second'
FROM inner_ticks WHERE name = $1 ORDER BY id DESC LIMIT 1`

// ticksKept is how many ticks of a periodic job are remembered.
const ticksKept = 100

// Tick inserts t as the execution of a periodic job's tick and tells whether it did. It does not when this tick has
// its execution already, whoever made it, or the latest execution has not ended. In the first case latest names that.
func (s *Store) Tick(ctx context.Context, name string, tick int64, t NewTask) (made bool, latest int64, err error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	var known int
	if err := s.db.QueryRowContext(ctx, knownTick, name, tick).Scan(&known, &latest); err != nil || known > 0 {
		return false, latest, err
	}
	made, err = s.tick(ctx, name, tick, t)
	return made, 0, err
}

// TickAfter inserts t as an execution between the ticks, the one after latest, and tells whether it did. It does not when
// that has a successor already, whoever made it, or has not ended.
func (s *Store) TickAfter(ctx context.Context, name string, latest int64, t NewTask) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	// Of several processes that saw the same latest execution, the unique index lets one make the next.
	return s.tick(ctx, name, -latest, t)
}

// TickAtStart inserts t as an execution between the ticks, because a process has started, and tells whether it did. It
// does not when an execution was begun less than recently ago, whoever made it, or the latest one has not ended. A job
// without any execution has none at a start: its first tick is due.
func (s *Store) TickAtStart(ctx context.Context, name string, recently time.Duration, t NewTask) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	var last int64
	var recent bool
	err := s.db.QueryRowContext(ctx, lastTick, name, recently.Seconds()).Scan(&last, &recent)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	if err != nil || recent {
		return false, err
	}
	return s.TickAfter(ctx, name, last, t)
}

func (s *Store) tick(ctx context.Context, name string, tick int64, t NewTask) (made bool, err error) {
	err = database.Retry(ctx, func(ctx context.Context) (err error) {
		made, err = s.tickOnce(ctx, name, tick, t)
		return err
	})
	return made, err
}

func (s *Store) tickOnce(ctx context.Context, name string, tick int64, t NewTask) (bool, error) {
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
	if tick > 0 {
		if _, err := tx.ExecContext(ctx, oldTicks, name, tick-ticksKept); err != nil {
			return false, err
		}
	}
	return true, tx.Commit()
}

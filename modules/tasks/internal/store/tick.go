package store

import (
	"context"
	"database/sql"

	"app238.com/inner/app/database"
)

// Tick is an execution of a periodic job.
type Tick struct {
	// Found is false if there is none; the other fields are then 0.
	Found bool
	// Number counts the executions of the job.
	Number int64
	// Due is when its tick began, in seconds since the Unix epoch, and Interval the interval in seconds of the process
	// that inserted it. Due is 0 for an execution between ticks; both are 0 in rows of earlier releases.
	Due, Interval int64
	// Age is the time in seconds since it was inserted, by the database's clock.
	Age float64
	// Active is true if its task has not ended.
	Active bool
}

const latestTicks = `
SELECT n.name, CAST(EXTRACT(EPOCH FROM LOCALTIMESTAMP) AS FLOAT8), t.id IS NOT NULL, COALESCE(t.tick, 0), COALESCE(t.due, 0),
    COALESCE(t.interval_seconds, 0), COALESCE(CAST(EXTRACT(EPOCH FROM LOCALTIMESTAMP - t.created_at) AS FLOAT8), 0),
    COALESCE(c.task_status IN ('pending', 'processing', 'waiting'), false)
FROM (SELECT u.name, (SELECT max(k.tick) FROM inner_ticks AS k WHERE k.name = u.name) AS latest FROM unnest($1::TEXT[]) AS
    u(name)) AS n
LEFT JOIN inner_ticks AS t ON t.name = n.name AND t.tick = n.latest
LEFT JOIN console_tasks AS c ON c.id = t.task_id`

// LatestTicks returns the latest execution of each named job, at least one name, and the database's time in seconds
// since the Unix epoch.
func (s *Store) LatestTicks(ctx context.Context, names []string) (latest map[string]Tick, now float64, err error) {
	type named struct {
		name string
		tick Tick
	}
	rows, err := collect(ctx, s, s.db, latestTicks, func(rows *sql.Rows, n *named) error {
		t := &n.tick
		return rows.Scan(&n.name, &now, &t.Found, &t.Number, &t.Due, &t.Interval, &t.Age, &t.Active)
	}, database.Array(names))
	if err != nil {
		return nil, 0, err
	}
	latest = make(map[string]Tick, len(names))
	for _, n := range rows {
		latest[n.name] = n.tick
	}
	if len(latest) < len(names) {
		return nil, 0, sql.ErrNoRows
	}
	return latest, now, nil
}

const (
	insertTick = `
INSERT INTO inner_ticks (name, tick, due, interval_seconds, task_id) VALUES ($1, $2, $3, $4, $5) ON CONFLICT (name, tick) DO NOTHING`
	deleteOldTicks = `DELETE FROM inner_ticks WHERE name = $1 AND tick <= $2`
)

// maxTicks is how many executions of a job are kept.
const maxTicks = 100

// InsertTick inserts a task as an execution of a periodic job and reports whether it did. Of several processes that saw
// the same latest execution, whatever their intervals, one inserts the next number.
func (s *Store) InsertTick(ctx context.Context, name string, t Tick, task NewTask) (inserted bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	err = database.Retry(ctx, func(ctx context.Context) (err error) {
		inserted, err = s.insertTickOnce(ctx, name, t, task)
		return err
	})
	return inserted, err
}

func (s *Store) insertTickOnce(ctx context.Context, name string, t Tick, task NewTask) (bool, error) {
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return false, err
	}
	defer func() { _ = tx.Rollback() }()
	inserted, err := s.InsertTx(ctx, tx, "", []NewTask{task}, nil)
	if err != nil {
		return false, err
	}
	// The unique index decides between replicas: the others roll their tasks back.
	ticks, err := rowsAffected(tx.ExecContext(ctx, insertTick, name, t.Number, t.Due, t.Interval, inserted[0].ID))
	if err != nil || ticks == 0 {
		return false, err
	}
	if _, err := tx.ExecContext(ctx, deleteOldTicks, name, t.Number-maxTicks); err != nil {
		return false, err
	}
	return true, tx.Commit()
}

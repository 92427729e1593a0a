package store

import (
	"context"
	"database/sql"
	"time"

	"app238.com/inner/app/database"
)

// Polled is what a process polls for because nobody tells it, at one moment.
type PollResult struct {
	// Lanes are those in which a task is pending and due, be it its turn or not.
	Lanes []string
	// Processes are all that may hold tasks.
	Processes []Process
	// Late tells that the recheck of a parked task is due.
	RecheckDue bool
	// Begun and Ended are when this was asked and answered, by this process's clock.
	SentAt, ReceivedAt time.Time
}

// Process is one that may hold tasks, as it was at one moment.
type Process struct {
	ID string
	// Heartbeat is another text after each heartbeat; "" where the process has no row: it has ended, and a statement of it
	// that was under way has claimed tasks afterwards.
	Heartbeat string
}

// Of each lane the index that claimOfLane walks is walked, as far as its first task that is due.
const poll = `
SELECT 'lane', l.lane, '' FROM unnest($1::TEXT[], $2::BIGINT[]) AS l(lane, lowest)
WHERE (SELECT t.id FROM console_tasks t WHERE t.run_at <= LOCALTIMESTAMP AND t.task_status = 'pending'
       AND (t.lane, t.id) >= (l.lane, l.lowest) AND t.lane <= l.lane AND t.lane <> '' ORDER BY t.lane, t.id LIMIT 1) IS NOT NULL
UNION ALL
SELECT 'late', '', '' WHERE EXISTS (SELECT 1 FROM console_tasks WHERE task_status = 'waiting' AND run_at <= LOCALTIMESTAMP)
UNION ALL
SELECT 'process', id, CAST(heartbeat_at AS TEXT) FROM inner_processes
UNION ALL
SELECT DISTINCT 'process', claimed_by, '' FROM console_tasks
WHERE task_status = 'processing' AND claimed_by NOT IN (SELECT id FROM inner_processes)`

// polled is one row of a poll.
type pollRow struct{ kind, name, heartbeat string }

// Poll reads of the given lanes whether tasks with ids from the given ones on are due, whether a parked one is, and all processes.
func (s *Store) Poll(ctx context.Context, lowest map[string]int64) (PollResult, error) {
	seen := PollResult{SentAt: time.Now()}
	var lanes []string
	var ids []int64
	for lane, id := range lowest {
		lanes, ids = append(lanes, lane), append(ids, id)
	}
	rows, err := collect(ctx, s, s.prepared, poll, func(rows *sql.Rows, p *pollRow) error {
		return rows.Scan(&p.kind, &p.name, &p.heartbeat)
	}, database.Array(lanes), database.Array(ids))
	if err != nil {
		return PollResult{}, err
	}
	seen.ReceivedAt = time.Now()
	for _, p := range rows {
		switch p.kind {
		case "lane":
			seen.Lanes = append(seen.Lanes, p.name)
		case "late":
			seen.RecheckDue = true
		case "process":
			seen.Processes = append(seen.Processes, Process{ID: p.name, Heartbeat: p.heartbeat})
		}
	}
	return seen, nil
}

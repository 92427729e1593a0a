package store

import (
	"context"
	"database/sql"
	"time"

	"app238.com/inner/app/database"
)

// PollResult is the state of the queue that a process polls for.
type PollResult struct {
	// Lanes are the lanes with a pending task that is due, whether or not it is its turn.
	Lanes []string
	// Processes are all processes that may have claims. Unless Unregistered is set, those without a row are missing.
	Processes    []Process
	Unregistered bool
	// RecheckDue is true if the recheck of a parked task is due.
	RecheckDue bool
	// SentAt and ReceivedAt are when the query was sent and answered, by this process's clock.
	SentAt, ReceivedAt time.Time
}

// Process is a process that may have claims.
type Process struct {
	ID string
	// Heartbeat changes with each heartbeat. It is "" if the process has no row: it was unregistered, and one of its
	// statements took effect later.
	Heartbeat string
}

// For each lane this scans the index of claimOfLane up to the first task that is due.
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
WHERE $3::BOOLEAN AND task_status = 'processing' AND claimed_by NOT IN (SELECT id FROM inner_processes)`

// pollRow is one row of a poll.
type pollRow struct{ kind, name, heartbeat string }

// Poll reports whether tasks of the lanes with ids from the given ones on are due, whether a parked one is, and the processes.
// Those that have claims but no row are rare, and finding them reads every claim, also completed ones while they cannot be
// vacuumed.
func (s *Store) Poll(ctx context.Context, lowest map[string]int64, unregistered bool) (PollResult, error) {
	result := PollResult{SentAt: time.Now(), Unregistered: unregistered}
	var lanes []string
	var ids []int64
	for lane, id := range lowest {
		lanes, ids = append(lanes, lane), append(ids, id)
	}
	rows, err := collect(ctx, s, s.prepared, poll, func(rows *sql.Rows, p *pollRow) error {
		return rows.Scan(&p.kind, &p.name, &p.heartbeat)
	}, database.Array(lanes), database.Array(ids), unregistered)
	if err != nil {
		return PollResult{}, err
	}
	result.ReceivedAt = time.Now()
	for _, p := range rows {
		switch p.kind {
		case "lane":
			result.Lanes = append(result.Lanes, p.name)
		case "late":
			result.RecheckDue = true
		case "process":
			result.Processes = append(result.Processes, Process{ID: p.name, Heartbeat: p.heartbeat})
		}
	}
	return result, nil
}

package store

import (
	"context"
	"database/sql"
	"strconv"
	"time"

	"app238.com/inner/app/database"
)

// PollResult is the state of the queue that a process polls for.
type PollResult struct {
	// Lanes are the lanes with a pending task that is due, whether or not it is its turn, and that ClaimRequeued does not claim;
	// Requeued are those with one that it does.
	Lanes, Requeued []string
	// Again is, by lane, the lowest id of the tasks of Lanes that were claimed before.
	Again map[string]int64
	// Processes are all processes that may have claims. Unless Thorough is set, those without a row are missing.
	Processes []Process
	// RecheckDue is true if the recheck of a parked task is due; false unless Thorough is set.
	RecheckDue bool
	// Thorough is true if all claims and parked tasks were read.
	Thorough bool
	// SentAt and ReceivedAt are when the query was sent and answered, by this process's clock.
	SentAt, ReceivedAt time.Time
}

// Process is a process that may have claims.
type Process struct {
	ID string
	// Heartbeat changes with each heartbeat. It is "" if the process has no row: it was unregistered, and one of its
	// statements took effect later.
	Heartbeat string
	// TakeoverAfter is how long its heartbeat has to be unchanged at least before it is dead, by its own settings. Its lease
	// depends on them.
	TakeoverAfter time.Duration
}

// For each lane this scans the index of claimOfLane up to the first task that is due. Tasks that became pending again have an
// index of their own: finding them among all tasks would read the entries of ended ones, until they are vacuumed.
const poll = `
SELECT 'lane', l.lane, '', CAST(0 AS FLOAT8) FROM unnest($1::TEXT[], $2::BIGINT[]) AS l(lane, lowest)
WHERE (SELECT t.id FROM console_tasks t WHERE t.run_at <= LOCALTIMESTAMP AND ` + notRequeued + ` AND t.task_status = 'pending'
       AND (t.lane, t.id) >= (l.lane, l.lowest) AND t.lane <= l.lane AND t.lane <> '' ORDER BY t.lane, t.id LIMIT 1) IS NOT NULL
UNION ALL
SELECT 'again', n.lane, CAST((SELECT a.id FROM console_tasks a WHERE a.run_at <= ` + dueNow + ` AND a.task_status = 'pending'
       AND a.claim_number > 0 AND a.lane >= n.lane AND a.lane <= n.lane ORDER BY a.lane, a.id LIMIT 1) AS TEXT), CAST(0 AS FLOAT8)
FROM unnest($3::TEXT[]) AS n(lane)
UNION ALL
SELECT 'requeued', n.lane, '', CAST(0 AS FLOAT8) FROM unnest($3::TEXT[]) AS n(lane)
WHERE (SELECT r.id FROM console_tasks r WHERE r.run_at <= LOCALTIMESTAMP AND r.run_at > ` + dueNow + ` AND r.task_status = 'pending'
       AND r.claim_number > 0 AND r.lane >= n.lane AND r.lane <= n.lane ORDER BY r.lane, r.run_at LIMIT 1) IS NOT NULL
UNION ALL
SELECT 'late', '', '', CAST(0 AS FLOAT8)
WHERE $4::BOOLEAN AND EXISTS (SELECT 1 FROM console_tasks WHERE task_status = 'waiting' AND run_at <= LOCALTIMESTAMP)
UNION ALL
SELECT 'process', id, CAST(heartbeat_at AS TEXT), takeover_after_seconds FROM inner_processes
UNION ALL
SELECT DISTINCT 'process', claimed_by, '', CAST(0 AS FLOAT8) FROM console_tasks
WHERE $4::BOOLEAN AND task_status = 'processing' AND claimed_by NOT IN (SELECT id FROM inner_processes)`

// pollRow is one row of a poll. Its value is an id, or a heartbeat.
type pollRow struct {
	kind, name string
	value      sql.NullString
	seconds    float64
}

// Poll reports which of the lanes have due tasks with ids from the given ones on, the tasks of all lanes that were claimed
// before, and the processes. A thorough poll reads every claim and every parked task, also ended ones while they cannot be
// vacuumed: it finds claims of processes without a row, which are rare, and parked tasks that are due.
func (s *Store) Poll(ctx context.Context, lowest map[string]int64, all []string, thorough bool) (PollResult, error) {
	result := PollResult{SentAt: time.Now(), Thorough: thorough, Again: map[string]int64{}}
	var lanes []string
	var ids []int64
	for lane, id := range lowest {
		lanes, ids = append(lanes, lane), append(ids, id)
	}
	rows, err := collect(ctx, s, s.prepared, poll, func(rows *sql.Rows, p *pollRow) error {
		return rows.Scan(&p.kind, &p.name, &p.value, &p.seconds)
	}, database.Array(lanes), database.Array(ids), database.Array(all), thorough)
	if err != nil {
		return PollResult{}, err
	}
	result.ReceivedAt = time.Now()
	for _, p := range rows {
		switch p.kind {
		case "lane":
			result.Lanes = append(result.Lanes, p.name)
		case "requeued":
			result.Requeued = append(result.Requeued, p.name)
		case "again":
			if !p.value.Valid {
				continue
			}
			if result.Again[p.name], err = strconv.ParseInt(p.value.String, 10, 64); err != nil {
				return PollResult{}, err
			}
		case "late":
			result.RecheckDue = true
		case "process":
			result.Processes = append(result.Processes, Process{ID: p.name, Heartbeat: p.value.String,
				TakeoverAfter: time.Duration(p.seconds * float64(time.Second))})
		}
	}
	return result, nil
}

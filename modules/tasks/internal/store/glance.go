package store

import (
	"context"
	"time"

	"app238.com/inner/app/database"
)

// Glance is what a process looks for that nobody tells it, at one moment.
type Glance struct {
	// Lanes are those in which a task is pending and due, be it its turn or not.
	Lanes []string
	// Processes are all that may hold tasks.
	Processes []Process
	// Late tells that the recheck of a parked task is due.
	Late bool
	// Begun and Ended are when this was asked and answered, by this process's clock.
	Begun, Ended time.Time
}

// Process is one that may hold tasks, as it was at one moment.
type Process struct {
	ID string
	// Heartbeat is another text after each heartbeat; "" where the process has no row: it has ended, and a statement of it
	// that was under way has claimed tasks afterwards.
	Heartbeat string
}

// Of each lane the index that claimOfLane walks is walked, as far as its first task that is due.
const glance = `
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

// Glance looks at the given lanes, at the tasks with ids from the given ones on, at what is parked, and at all processes.
func (s *Store) Glance(ctx context.Context, lowest map[string]int64) (Glance, error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	g := Glance{Begun: time.Now()}
	var lanes []string
	var ids []int64
	for lane, id := range lowest {
		lanes, ids = append(lanes, lane), append(ids, id)
	}
	rows, err := s.steady.QueryContext(ctx, glance, database.Array(lanes), database.Array(ids))
	if err != nil {
		return Glance{}, err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var kind, name, heartbeat string
		if err := rows.Scan(&kind, &name, &heartbeat); err != nil {
			return Glance{}, err
		}
		switch kind {
		case "lane":
			g.Lanes = append(g.Lanes, name)
		case "late":
			g.Late = true
		case "process":
			g.Processes = append(g.Processes, Process{ID: name, Heartbeat: heartbeat})
		}
	}
	g.Ended = time.Now()
	return g, rows.Err()
}

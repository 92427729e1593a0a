package store

import (
	"context"
	"database/sql"
	"time"

	"app238.com/inner/app/database"
)

// batch is how many sightings one statement writes or reads.
const batch = 1000

// Sighting is what is known about an orphan.
type Observation struct {
	// First is when the unbroken series of audits began that saw it as an orphan, in UTC.
	First time.Time
	// Due tells that an earlier audit than this one saw it first, at least the grace ago.
	Due bool
}

const sight = `
INSERT INTO inner_audit_sightings (kind, name, first_task, last_task)
SELECT $1::TEXT, t.name, $2::BIGINT, $2::BIGINT FROM unnest($3::TEXT[]) AS t(name)
ON CONFLICT (kind, name) DO UPDATE SET last_task = excluded.last_task, last_seen_at = LOCALTIMESTAMP
RETURNING name, first_seen_at, first_task <> last_task
    AND first_seen_at <= LOCALTIMESTAMP - $4::FLOAT8 * INTERVAL '1 second'`

const forgetOthers = `DELETE FROM inner_audit_sightings WHERE kind = $1 AND last_task <> $2`

// Sight records the orphans of a kind that the audit of a task has seen, and forgets those that it has not: their series
// is broken. It returns what is known about each.
func (l *Store) Observe(ctx context.Context, task int64, kind string, names []string, grace time.Duration) (map[string]Observation, error) {
	var known map[string]Observation
	err := l.inTx(ctx, func(ctx context.Context, tx *sql.Tx) error {
		known = make(map[string]Observation, len(names))
		for from := 0; from < len(names); from += batch {
			part := names[from:min(from+batch, len(names))]
			if err := sightings(ctx, tx, known, sight, kind, task, database.Array(part), grace.Seconds()); err != nil {
				return err
			}
		}
		_, err := tx.ExecContext(ctx, forgetOthers, kind, task)
		return err
	})
	return known, err
}

const seen = `
SELECT name, first_seen_at, first_seen_at <= LOCALTIMESTAMP - $3::FLOAT8 * INTERVAL '1 second'
FROM inner_audit_sightings WHERE kind = $1 AND name = ANY($2)`

// Seen returns what is known about orphans, without recording that they were seen. One that is unknown is missing.
func (l *Store) Seen(ctx context.Context, kind string, names []string, grace time.Duration) (map[string]Observation, error) {
	var known map[string]Observation
	err := l.inTx(ctx, func(ctx context.Context, tx *sql.Tx) error {
		known = make(map[string]Observation, len(names))
		for from := 0; from < len(names); from += batch {
			part := names[from:min(from+batch, len(names))]
			if err := sightings(ctx, tx, known, seen, kind, database.Array(part), grace.Seconds()); err != nil {
				return err
			}
		}
		return nil
	})
	return known, err
}

// sightings adds the rows that a statement returns to known.
func sightings(ctx context.Context, tx *sql.Tx, known map[string]Observation, query string, args ...any) error {
	rows, err := tx.QueryContext(ctx, query, args...)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var name string
		var s Observation
		if err := rows.Scan(&name, &s.First, &s.Due); err != nil {
			return err
		}
		known[name] = s
	}
	return rows.Err()
}

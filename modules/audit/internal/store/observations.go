package store

import (
	"context"
	"time"

	"app238.com/inner/app/database"
	"app238.com/inner/ent"
)

// batch is how many observations one statement writes or reads.
const batch = 1000

// ObservedOrphan is what is observed about an orphan.
type ObservedOrphan struct {
	// First is the time of the first audit, in UTC, of the unbroken series of audits that observed it as an orphan.
	First time.Time
	// Due is true when an audit before this one observed it first, at least the grace period ago.
	Due bool
}

// The statements of this file are raw SQL: batches that use the database's time. No row of inner_audit_sightings is read as it
// is, so that the table has no Ent entity.
const observe = `
INSERT INTO inner_audit_sightings (kind, name, first_task, last_task)
SELECT $1::TEXT, t.name, $2::BIGINT, $2::BIGINT FROM unnest($3::TEXT[]) AS t(name)
ON CONFLICT (kind, name) DO UPDATE SET last_task = excluded.last_task, last_seen_at = LOCALTIMESTAMP
RETURNING name, first_seen_at, first_task <> last_task
    AND first_seen_at <= LOCALTIMESTAMP - $4::FLOAT8 * INTERVAL '1 second'`

const deleteUnobserved = `DELETE FROM inner_audit_sightings WHERE kind = $1 AND last_task <> $2`

// Observe records the orphans of a kind that the audit of a task observed, and deletes the observations of all others: their
// series is broken. It returns what is observed about each orphan.
func (s *Store) Observe(
	ctx context.Context, task int64, kind string, names []string, grace time.Duration,
) (map[string]ObservedOrphan, error) {
	var observed map[string]ObservedOrphan
	err := s.inTx(ctx, func(ctx context.Context, tx *ent.Tx) error {
		observed = make(map[string]ObservedOrphan, len(names))
		for from := 0; from < len(names); from += batch {
			part := names[from:min(from+batch, len(names))]
			if err := readObservations(ctx, tx, observed, observe, kind, task, database.Array(part), grace.Seconds()); err != nil {
				return err
			}
		}
		_, err := tx.ExecContext(ctx, deleteUnobserved, kind, task)
		return err
	})
	return observed, err
}

const observations = `
SELECT name, first_seen_at, first_seen_at <= LOCALTIMESTAMP - $3::FLOAT8 * INTERVAL '1 second'
FROM inner_audit_sightings WHERE kind = $1 AND name = ANY($2)`

// Observations returns what is observed about orphans without recording a new observation. Unknown ones are left out.
func (s *Store) Observations(
	ctx context.Context, kind string, names []string, grace time.Duration,
) (map[string]ObservedOrphan, error) {
	var observed map[string]ObservedOrphan
	err := s.inTx(ctx, func(ctx context.Context, tx *ent.Tx) error {
		observed = make(map[string]ObservedOrphan, len(names))
		for from := 0; from < len(names); from += batch {
			part := names[from:min(from+batch, len(names))]
			if err := readObservations(ctx, tx, observed, observations, kind, database.Array(part), grace.Seconds()); err != nil {
				return err
			}
		}
		return nil
	})
	return observed, err
}

// readObservations adds the rows that a query returns to observed.
func readObservations(ctx context.Context, tx *ent.Tx, observed map[string]ObservedOrphan, query string, args ...any) error {
	rows, err := tx.QueryContext(ctx, query, args...)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var name string
		var o ObservedOrphan
		if err := rows.Scan(&name, &o.First, &o.Due); err != nil {
			return err
		}
		observed[name] = o
	}
	return rows.Err()
}

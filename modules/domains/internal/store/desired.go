package store

import (
	"context"
	"database/sql"
	"time"
)

// Desired is the desired state of the objects of one domain.
type Desired struct {
	CDID, Name, UserUID string
	// Host and Target are canonical.
	Host, Target string
	// Served: the objects must exist. Deleting: the objects and the certificate's Secret must be deleted, and then the row of the
	// checks.
	Served, Deleting bool
	// Applying: a process may be applying the objects, or the API server may still create what a killed process requested.
	Applying bool
	// Revision is incremented when other fields may have changed.
	Revision int64
	// Certificate is the recorded readiness of the certificate.
	Certificate string
}

const desiredColumns = `SELECT cdid, name, user_uid, host, target_host, gone, verified AND NOT gone, revision, certificate,
    applying > 0 AND applying_until > LOCALTIMESTAMP
FROM inner_domain_checks `

const (
	desiredOf     = desiredColumns + `WHERE name = $1`
	pageOfDesired = desiredColumns + `WHERE cdid > $1 ORDER BY cdid LIMIT $2`
	lastChanged   = desiredColumns + `WHERE cdid IN (
    SELECT r.cdid
    FROM (SELECT cdid, row_number() OVER (PARTITION BY user_uid ORDER BY changed_at DESC) AS turn
        FROM inner_domain_checks WHERE changed_at > LOCALTIMESTAMP - $1::FLOAT8 * INTERVAL '1 second') AS r
    ORDER BY r.turn LIMIT $2)`
)

// Desired returns the desired state of the objects of a name, or ErrNotFound.
func (s *Store) Desired(ctx context.Context, name string) (Desired, error) {
	found, err := s.queryDesired(ctx, desiredOf, name)
	if err != nil {
		return Desired{}, err
	}
	if len(found) == 0 {
		return Desired{}, ErrNotFound
	}
	return found[0], nil
}

// ListDesired returns at most limit desired states with cdids above after, in the order of the cdids.
func (s *Store) ListDesired(ctx context.Context, after string, limit int) ([]Desired, error) {
	return s.queryDesired(ctx, pageOfDesired, after, limit)
}

// ListChanged returns at most limit desired states that changed within the last time ago. The users take turns, each with its
// latest ones first.
func (s *Store) ListChanged(ctx context.Context, ago time.Duration, limit int) ([]Desired, error) {
	return s.queryDesired(ctx, lastChanged, ago.Seconds(), limit)
}

func (s *Store) queryDesired(ctx context.Context, query string, args ...any) ([]Desired, error) {
	return read(ctx, s, query, args, func(rows *sql.Rows, w *Desired) error {
		return rows.Scan(&w.CDID, &w.Name, &w.UserUID, &w.Host, &w.Target, &w.Deleting, &w.Served, &w.Revision, &w.Certificate,
			&w.Applying)
	})
}

const beginApply = `
UPDATE inner_domain_checks AS s SET applying = CASE WHEN s.applying_until > LOCALTIMESTAMP THEN s.applying + 1 ELSE 1 END,
    applying_until = LOCALTIMESTAMP + $3::FLOAT8 * INTERVAL '1 second'
WHERE s.cdid = $1 AND s.revision = $2 AND NOT s.gone`

// BeginApply marks a domain as applying until EndApply is called or, at the latest, until the limit is over. It returns
// ErrNotFound if the desired state has changed.
func (s *Store) BeginApply(ctx context.Context, w Desired, limit time.Duration) error {
	n, err := s.exec(ctx, beginApply, w.CDID, w.Revision, limit.Seconds())
	if err == nil && n == 0 {
		return ErrNotFound
	}
	return err
}

const endApply = `
UPDATE inner_domain_checks SET applying = applying - 1 WHERE cdid = $1 AND applying > 0 AND applying_until > LOCALTIMESTAMP`

// EndApply ends BeginApply. The API server has answered all requests of this process.
func (s *Store) EndApply(ctx context.Context, cdid string) error {
	_, err := s.exec(ctx, endApply, cdid)
	return err
}

const deleteChecks = `DELETE FROM inner_domain_checks WHERE cdid = $1 AND gone AND revision = $2`

// Delete deletes the checks of a domain whose objects were deleted.
func (s *Store) Delete(ctx context.Context, w Desired) error {
	_, err := s.exec(ctx, deleteChecks, w.CDID, w.Revision)
	return err
}

const setCertificate = `UPDATE inner_domain_checks SET certificate = $2 WHERE cdid = $1 AND certificate <> $2`

// SetCertificate records the readiness of a domain's certificate.
func (s *Store) SetCertificate(ctx context.Context, cdid, text string) error {
	_, err := s.exec(ctx, setCertificate, cdid, text)
	return err
}

const addOrphan = `
INSERT INTO inner_domain_checks (cdid, name, row_id, user_uid, domain, target, txt_name, txt_value, gone, gone_at, changed_at)
SELECT $1::TEXT, $2::TEXT, 0, $3::TEXT, '', '', '', '', true, LOCALTIMESTAMP, LOCALTIMESTAMP
WHERE NOT EXISTS (SELECT 1 FROM custom_domains WHERE cdid = $1)
ON CONFLICT (cdid) DO NOTHING`

// AddOrphan marks the objects of a name for removal. It reports false, and does nothing, if the domain has a row or checks.
func (s *Store) AddOrphan(ctx context.Context, cdid, name, userUID string) (bool, error) {
	n, err := s.exec(ctx, addOrphan, cdid, name, userUID)
	return n > 0, err
}

const incrementRevision = `
UPDATE inner_domain_checks SET revision = revision + 1, changed_at = LOCALTIMESTAMP WHERE cdid = $1 AND NOT gone`

// Touch increments the revision, so that the leader reconciles the domain.
func (s *Store) Touch(ctx context.Context, cdid string) error {
	_, err := s.exec(ctx, incrementRevision, cdid)
	return err
}

// InventoryRow is a row of custom_domains, which justifies the objects of its cdid whatever its status.
type InventoryRow struct {
	ID            int64
	CDID, UserUID string
	// Served is true when the objects must exist. Since is when the checks began, in UTC.
	Served bool
	Since  time.Time
}

const inventoryRows = `
SELECT c.id, c.cdid, c.user_uid, COALESCE(s.verified AND NOT s.gone AND ` + same + `, false),
    GREATEST(c.created_at, COALESCE(s.begun_at, c.created_at))
FROM custom_domains AS c LEFT JOIN inner_domain_checks AS s ON s.cdid = c.cdid
WHERE c.id > $1 ORDER BY c.id LIMIT $2`

// InventoryRows returns at most limit rows with ids above after, in the order of their ids.
func (s *Store) InventoryRows(ctx context.Context, after int64, limit int) ([]InventoryRow, error) {
	return read(ctx, s, inventoryRows, []any{after, limit}, func(rows *sql.Rows, j *InventoryRow) error {
		return rows.Scan(&j.ID, &j.CDID, &j.UserUID, &j.Served, &j.Since)
	})
}

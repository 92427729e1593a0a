package store

import (
	"context"
	"database/sql"
	"time"
)

// Wish is what is to be there of one domain.
type Desired struct {
	CDID, Name, UserUID string
	// Host and Target are in the spelling of package hostname.
	Host, Target string
	// Served: the objects are to be there. Gone: the objects and the certificate's Secret are to vanish, and then what is
	// known of the domain.
	Served, Gone bool
	// Applying: a process may be making the objects, or what it asked for before it was killed may yet be made.
	Applying bool
	// Revision grows when the others may have changed.
	Revision int64
	// Certificate is what is known of the certificate's readiness.
	Certificate string
}

const desiredColumns = `SELECT cdid, name, user_uid, host, target_host, gone, verified AND NOT gone, revision, certificate,
    applying > 0 AND applying_until > LOCALTIMESTAMP
FROM inner_domain_checks `

const (
	desiredOf     = desiredColumns + `WHERE name = $1`
	pageOfDesired = desiredColumns + `WHERE cdid > $1 ORDER BY cdid LIMIT $2`
)

// Wish returns the wish for the objects of a name, or ErrNotFound.
func (s *Store) Desired(ctx context.Context, name string) (Desired, error) {
	found, err := s.wishes(ctx, desiredOf, name)
	if err != nil {
		return Desired{}, err
	}
	if len(found) == 0 {
		return Desired{}, ErrNotFound
	}
	return found[0], nil
}

// Wishes returns at most limit wishes with cdids above after, in their order.
func (s *Store) ListDesired(ctx context.Context, after string, limit int) ([]Desired, error) {
	return s.wishes(ctx, pageOfDesired, after, limit)
}

func (s *Store) wishes(ctx context.Context, query string, args ...any) ([]Desired, error) {
	return read(ctx, s, query, args, func(rows *sql.Rows, w *Desired) error {
		return rows.Scan(&w.CDID, &w.Name, &w.UserUID, &w.Host, &w.Target, &w.Gone, &w.Served, &w.Revision, &w.Certificate, &w.Applying)
	})
}

const beginApply = `
UPDATE inner_domain_checks AS s SET applying = CASE WHEN s.applying_until > LOCALTIMESTAMP THEN s.applying + 1 ELSE 1 END,
    applying_until = LOCALTIMESTAMP + $3::FLOAT8 * INTERVAL '1 second'
WHERE s.cdid = $1 AND s.revision = $2 AND NOT s.gone`

// BeginApply has Wish tell that this process makes the objects, until EndApply or, without it, for that time. It returns
// ErrNotFound where the wish has changed.
func (s *Store) BeginApply(ctx context.Context, w Desired, limit time.Duration) error {
	n, err := s.exec(ctx, beginApply, w.CDID, w.Revision, limit.Seconds())
	if err == nil && n == 0 {
		return ErrNotFound
	}
	return err
}

const endApply = `
UPDATE inner_domain_checks SET applying = applying - 1 WHERE cdid = $1 AND applying > 0 AND applying_until > LOCALTIMESTAMP`

// EndApply says that the process has made them, and that nothing which it asked for is under way any more.
func (s *Store) EndApply(ctx context.Context, cdid string) error {
	_, err := s.exec(ctx, endApply, cdid)
	return err
}

const forget = `DELETE FROM inner_domain_checks WHERE cdid = $1 AND gone AND revision = $2`

// Forget removes what is known of a domain whose objects have vanished.
func (s *Store) Forget(ctx context.Context, w Desired) error {
	_, err := s.exec(ctx, forget, w.CDID, w.Revision)
	return err
}

const setCertificate = `UPDATE inner_domain_checks SET certificate = $2 WHERE cdid = $1 AND certificate <> $2`

// SetCertificate notes how a domain's certificate is.
func (s *Store) SetCertificate(ctx context.Context, cdid, text string) error {
	_, err := s.exec(ctx, setCertificate, cdid, text)
	return err
}

const addOrphan = `
INSERT INTO inner_domain_checks (cdid, name, row_id, user_uid, domain, target, txt_name, txt_value, gone, gone_at)
SELECT $1::TEXT, $2::TEXT, 0, $3::TEXT, '', '', '', '', true, LOCALTIMESTAMP
WHERE NOT EXISTS (SELECT 1 FROM custom_domains WHERE cdid = $1)
ON CONFLICT (cdid) DO NOTHING`

// AddOrphan has the objects of a name removed that belong to no row, and tells whether it does: not where there is a row,
// or anything known of the domain.
func (s *Store) AddOrphan(ctx context.Context, cdid, name, userUID string) (bool, error) {
	n, err := s.exec(ctx, addOrphan, cdid, name, userUID)
	return n > 0, err
}

const touch = `UPDATE inner_domain_checks SET revision = revision + 1 WHERE cdid = $1 AND NOT gone`

// Touch has every process look at the objects of a domain.
func (s *Store) Touch(ctx context.Context, cdid string) error {
	_, err := s.exec(ctx, touch, cdid)
	return err
}

// Justified is a row of custom_domains, which justifies the objects of its cdid whatever its status.
type Justified struct {
	ID            int64
	CDID, UserUID string
	// Served tells whether its objects must be there. Since is when its checks began, in UTC.
	Served bool
	Since  time.Time
}

const justified = `
SELECT c.id, c.cdid, c.user_uid, COALESCE(s.verified AND NOT s.gone AND ` + same + `, false),
    GREATEST(c.created_at, COALESCE(s.begun_at, c.created_at))
FROM custom_domains AS c LEFT JOIN inner_domain_checks AS s ON s.cdid = c.cdid
WHERE c.id > $1 ORDER BY c.id LIMIT $2`

// Justified returns at most limit rows with ids above after, in their order.
func (s *Store) Justified(ctx context.Context, after int64, limit int) ([]Justified, error) {
	return read(ctx, s, justified, []any{after, limit}, func(rows *sql.Rows, j *Justified) error {
		return rows.Scan(&j.ID, &j.CDID, &j.UserUID, &j.Served, &j.Since)
	})
}

package store

import (
	"context"
	"database/sql"
	"time"

	"app238.com/inner/app/config"
	"app238.com/inner/app/database"
)

// Candidate is a domain that may be claimed.
type Candidate struct {
	CDID, UserUID, Host string
	// Unanswered counts the lookup failures in a row.
	Unanswered int64
}

// Slow selects domains by Candidate.Unanswered: those with at least From if Is, else the others.
type Slow struct {
	From int64
	Is   bool
}

// Excluded are users, registered domains, and users for hosts under a registered domain that have no slots left.
type Excluded struct {
	Users, Zones []string
	Pairs        []UserZone
}

// UserZone is a user and a registered domain.
type UserZone struct{ UserUID, Zone string }

// due starts with domains that were never checked, because a user is waiting for these.
const due = `
SELECT s.cdid, s.user_uid, s.host, s.unanswered FROM inner_domain_checks AS s
WHERE s.next_check_at <= LOCALTIMESTAMP AND NOT s.gone AND ` + unclaimed + ` AND (s.unanswered >= $1) = $2
    AND s.user_uid <> ALL($3) AND s.host <> ALL($4) AND NOT s.host LIKE ANY($5)
    AND NOT EXISTS (SELECT 1 FROM unnest($6::TEXT[], $7::TEXT[]) AS f(user_uid, zone)
        WHERE f.user_uid = s.user_uid AND (s.host = f.zone OR s.host LIKE '%.' || f.zone))
ORDER BY s.checked_at IS NOT NULL, s.next_check_at LIMIT $8`

// Due returns at most limit domains that are due for a check: new ones first, then in the order of their due time.
func (s *Store) Due(ctx context.Context, slow Slow, excluded Excluded, limit int) ([]Candidate, error) {
	below := make([]string, len(excluded.Zones))
	for i, zone := range excluded.Zones {
		below[i] = "%." + zone
	}
	users, zones := make([]string, len(excluded.Pairs)), make([]string, len(excluded.Pairs))
	for i, pair := range excluded.Pairs {
		users[i], zones[i] = pair.UserUID, pair.Zone
	}
	return s.candidates(ctx, due, slow.From, slow.Is, database.Array(excluded.Users), database.Array(excluded.Zones),
		database.Array(below), database.Array(users), database.Array(zones), limit)
}

const pageOfChecks = `
SELECT cdid, user_uid, host, unanswered FROM inner_domain_checks WHERE cdid > $1 AND NOT gone ORDER BY cdid LIMIT $2`

// Page returns at most limit domains with cdids above after, in the order of the cdids.
func (s *Store) Page(ctx context.Context, after string, limit int) ([]Candidate, error) {
	return s.candidates(ctx, pageOfChecks, after, limit)
}

func (s *Store) candidates(ctx context.Context, query string, args ...any) ([]Candidate, error) {
	return read(ctx, s, query, args, func(rows *sql.Rows, w *Candidate) error {
		return rows.Scan(&w.CDID, &w.UserUID, &w.Host, &w.Unanswered)
	})
}

const makeDue = `
UPDATE inner_domain_checks SET next_check_at = LOCALTIMESTAMP
WHERE unanswered >= $1 AND NOT gone AND next_check_at > LOCALTIMESTAMP`

// MakeDue makes the domains due that have at least so many lookup failures in a row.
func (s *Store) MakeDue(ctx context.Context, unanswered int64) error {
	_, err := s.exec(ctx, makeDue, unanswered)
	return err
}

// resetFutureTimes updates rows that were checked or added in the future: the database's clock was set back since. Clocks of two
// sessions differ by less than a minute.
const resetFutureTimes = `
UPDATE inner_domain_checks SET next_check_at = LOCALTIMESTAMP,
    lease_until = CASE WHEN lease_until > LOCALTIMESTAMP + $1::FLOAT8 * INTERVAL '1 second' THEN NULL ELSE lease_until END
WHERE NOT gone AND COALESCE(checked_at, begun_at) > LOCALTIMESTAMP + INTERVAL '1 minute'
    AND (next_check_at > LOCALTIMESTAMP OR lease_until > LOCALTIMESTAMP + $1::FLOAT8 * INTERVAL '1 second')`

// ResetFutureTimes makes domains due whose times are in the future because the database's clock was set back, and drops claims
// that are longer than any can be. It returns the number of domains.
func (s *Store) ResetFutureTimes(ctx context.Context) (int64, error) {
	return s.exec(ctx, resetFutureTimes, 2*s.lease.Seconds())
}

// Lease returns the duration of a claim: enough for the check and for writing its result.
func Lease(c *config.Config) time.Duration {
	return 3*c.Domains.CheckTimeout + 2*c.Database.StatementTimeout
}

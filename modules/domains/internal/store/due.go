package store

import (
	"context"
	"database/sql"

	"app238.com/inner/app/database"
)

// Waiting is a domain that may be claimed.
type Waiting struct {
	CDID, UserUID, Host string
	// Unanswered counts the checks in a row that got no answer.
	Unanswered int64
}

// Slow selects domains by their Waiting.Unanswered: those of at least From where Is, those below it where not.
type Slow struct {
	From int64
	Is   bool
}

// Full are users and registered domains of whom nothing is wanted, and users of whom nothing under a registered domain is.
type Full struct {
	Users, Zones []string
	Pairs        []UserZone
}

// UserZone is a user and a registered domain.
type UserZone struct{ UserUID, Zone string }

// due begins with what was never checked: somebody waits for it.
const due = `
SELECT s.cdid, s.user_uid, s.host, s.unanswered FROM inner_domain_checks AS s
WHERE s.next_check_at <= LOCALTIMESTAMP AND NOT s.gone AND ` + free + ` AND (s.unanswered >= $1) = $2
    AND s.user_uid <> ALL($3) AND s.host <> ALL($4) AND NOT s.host LIKE ANY($5)
    AND NOT EXISTS (SELECT 1 FROM unnest($6::TEXT[], $7::TEXT[]) AS f(user_uid, zone)
        WHERE f.user_uid = s.user_uid AND (s.host = f.zone OR s.host LIKE '%.' || f.zone))
ORDER BY s.checked_at IS NOT NULL, s.next_check_at LIMIT $8`

// Due returns at most limit domains that are due for a check: first the new ones, then those that have been due for longest.
func (s *Store) Due(ctx context.Context, slow Slow, full Full, limit int) ([]Waiting, error) {
	below := make([]string, len(full.Zones))
	for i, zone := range full.Zones {
		below[i] = "%." + zone
	}
	users, zones := make([]string, len(full.Pairs)), make([]string, len(full.Pairs))
	for i, pair := range full.Pairs {
		users[i], zones[i] = pair.UserUID, pair.Zone
	}
	return s.waiting(ctx, due, slow.From, slow.Is, database.Array(full.Users), database.Array(full.Zones), database.Array(below),
		database.Array(users), database.Array(zones), limit)
}

const pageOfChecks = `
SELECT cdid, user_uid, host, unanswered FROM inner_domain_checks WHERE cdid > $1 AND NOT gone ORDER BY cdid LIMIT $2`

// Page returns at most limit known domains with cdids above after, in their order.
func (s *Store) Page(ctx context.Context, after string, limit int) ([]Waiting, error) {
	return s.waiting(ctx, pageOfChecks, after, limit)
}

func (s *Store) waiting(ctx context.Context, query string, args ...any) ([]Waiting, error) {
	return read(ctx, s, query, args, func(rows *sql.Rows, w *Waiting) error {
		return rows.Scan(&w.CDID, &w.UserUID, &w.Host, &w.Unanswered)
	})
}

const makeDue = `
UPDATE inner_domain_checks SET next_check_at = LOCALTIMESTAMP
WHERE unanswered >= $1 AND NOT gone AND next_check_at > LOCALTIMESTAMP`

// MakeDue has the domains checked with at least so many checks in a row that got no answer.
func (s *Store) MakeDue(ctx context.Context, unanswered int64) error {
	_, err := s.exec(ctx, makeDue, unanswered)
	return err
}

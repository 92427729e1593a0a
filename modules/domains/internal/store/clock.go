package store

import (
	"context"
	"time"

	"app238.com/inner/app/config"
)

// A row that was checked, or made known, in the future was so before the database's clock was set back: its times are those
// of a time that has been. A minute is more than the clocks of two sessions can differ.
const hasten = `
UPDATE inner_domain_checks SET next_check_at = LOCALTIMESTAMP,
    lease_until = CASE WHEN lease_until > LOCALTIMESTAMP + $1::FLOAT8 * INTERVAL '1 second' THEN NULL ELSE lease_until END
WHERE NOT gone AND COALESCE(checked_at, begun_at) > LOCALTIMESTAMP + INTERVAL '1 minute'
    AND (next_check_at > LOCALTIMESTAMP OR lease_until > LOCALTIMESTAMP + $1::FLOAT8 * INTERVAL '1 second')`

// Hasten makes domains due that the database's clock, set back, would let wait for as long as it was set back, and has claims
// forgotten that are longer than any is. It returns how many domains there were.
func (s *Store) Hasten(ctx context.Context) (int64, error) {
	return s.exec(ctx, hasten, 2*s.lease.Seconds())
}

// Lease returns for how long a domain is claimed: for its check and the writing of that, with time to spare.
func Lease(c *config.Config) time.Duration {
	return 3*c.Domains.CheckTimeout + 2*c.Database.StatementTimeout
}

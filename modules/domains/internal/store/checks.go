package store

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"app238.com/inner/app/database"
	"app238.com/inner/modules/domains/internal/lifecycle"
)

// unclaimed selects domains without a valid claim.
const unclaimed = `(s.lease_until IS NULL OR s.lease_until <= LOCALTIMESTAMP)`

// claimRows claims rows. PostgreSQL evaluates its condition again for a row that another claim has just changed.
const claimRows = `
UPDATE inner_domain_checks AS s
SET lease_until = LOCALTIMESTAMP + $1::FLOAT8 * INTERVAL '1 second', claim_number = s.claim_number + 1
WHERE NOT s.gone AND ` + unclaimed + ` AND `

const claimColumns = `
RETURNING s.cdid, s.name, s.user_uid, s.claim_number, s.host, s.target_host, s.txt_value, s.refusal, s.verified, s.checks,
    s.failures, s.unanswered, s.begun_at, s.failing_since, s.next_check_at, s.wished_status, LOCALTIMESTAMP`

const (
	claimNamed = claimRows + `s.cdid = ANY($2)` + claimColumns
	claimDue   = claimRows + `s.next_check_at <= LOCALTIMESTAMP AND s.cdid = ANY($2)` + claimColumns
)

// Claim claims these domains, due or not, except those that are claimed already.
func (s *Store) Claim(ctx context.Context, lease time.Duration, cdids []string) ([]Claimed, error) {
	return s.claim(ctx, claimNamed, lease, cdids)
}

// ClaimDue claims those of these domains that are still due, except those that are claimed already.
func (s *Store) ClaimDue(ctx context.Context, lease time.Duration, cdids []string) ([]Claimed, error) {
	return s.claim(ctx, claimDue, lease, cdids)
}

func (s *Store) claim(ctx context.Context, query string, lease time.Duration, cdids []string) ([]Claimed, error) {
	if len(cdids) == 0 {
		return nil, nil
	}
	// A cancelled statement could leave claims that no process knows of.
	ctx = context.WithoutCancel(ctx)
	return read(ctx, s, query, []any{lease.Seconds(), database.Array(cdids)}, func(rows *sql.Rows, c *Claimed) error {
		var failing sql.NullTime
		err := rows.Scan(&c.CDID, &c.Name, &c.UserUID, &c.Number, &c.Claim.Host, &c.Claim.Target, &c.Claim.TXTValue, &c.Claim.Refusal,
			&c.State.Verified, &c.State.Checks, &c.State.Failures, &c.State.Unanswered,
			&c.State.Started, &failing, &c.State.Next, &c.State.Status, &c.Now)
		c.State.FailingSince = failing.Time
		return err
	})
}

const releaseClaims = `
UPDATE inner_domain_checks AS s SET lease_until = NULL
FROM unnest($1::TEXT[], $2::BIGINT[]) AS u(cdid, number) WHERE s.cdid = u.cdid AND s.claim_number = u.number`

// Release releases claims that were not used.
func (s *Store) Release(ctx context.Context, claims []Claimed) error {
	cdids, numbers := make([]string, len(claims)), make([]int64, len(claims))
	for i, c := range claims {
		cdids[i], numbers[i] = c.CDID, c.Number
	}
	_, err := s.exec(ctx, releaseClaims, database.Array(cdids), database.Array(numbers))
	return err
}

const writeChecks = `
UPDATE inner_domain_checks AS s
SET verified = u.verified, wished_status = u.status, checks = u.checks, failures = u.failures, unanswered = u.unanswered,
    failing_since = CAST(NULLIF(u.failing, '') AS TIMESTAMP), begun_at = CAST(u.begun AS TIMESTAMP),
    next_check_at = CAST(u.next AS TIMESTAMP), answer = u.answer, detail = u.detail, checked_at = LOCALTIMESTAMP,
    lease_until = NULL, revision = s.revision + CASE WHEN s.verified = u.verified THEN 0 ELSE 1 END,
    changed_at = CASE WHEN s.verified = u.verified THEN s.changed_at ELSE LOCALTIMESTAMP END
FROM unnest($1::TEXT[], $2::BIGINT[], $3::BOOLEAN[], $4::TEXT[], $5::BIGINT[], $6::BIGINT[], $7::TEXT[], $8::TEXT[], $9::TEXT[],
    $10::TEXT[], $11::TEXT[], $12::BIGINT[])
    AS u(cdid, number, verified, status, checks, failures, failing, begun, next, answer, detail, unanswered)
WHERE s.cdid = u.cdid AND s.claim_number = u.number AND NOT s.gone`

// Checked is a claimed domain and its state after the check.
type Checked struct {
	Claimed
	After lifecycle.State
}

// Write writes states and the rows' status in one transaction. A void claim writes nothing, and neither does the status of a row
// that somebody has locked. If another domain with the same host is verified, nothing is written, and IsHostConflict is true for
// the error.
func (s *Store) Write(ctx context.Context, all []Checked) error {
	n := len(all)
	cdids, numbers, verified := make([]string, n), make([]int64, n), make([]bool, n)
	status, checks, failures := make([]string, n), make([]int64, n), make([]int64, n)
	failing, started, next := make([]string, n), make([]string, n), make([]string, n)
	answer, detail, unanswered := make([]string, n), make([]string, n), make([]int64, n)
	for i, c := range all {
		cdids[i], numbers[i], verified[i], status[i] = c.CDID, c.Number, c.After.Verified, c.After.Status
		checks[i], failures[i], failing[i] = c.After.Checks, c.After.Failures, formatTime(c.After.FailingSince)
		started[i], next[i] = formatTime(c.After.Started), formatTime(c.After.Next)
		answer[i], detail[i] = string(c.After.Last.Kind), c.After.Last.Text
		unanswered[i] = c.After.Unanswered
	}
	return s.inTx(ctx, func(ctx context.Context, tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, writeChecks, database.Array(cdids), database.Array(numbers), database.Array(verified),
			database.Array(status), database.Array(checks), database.Array(failures), database.Array(failing), database.Array(started),
			database.Array(next), database.Array(answer), database.Array(detail), database.Array(unanswered)); err != nil {
			return fmt.Errorf("write checks: %w", err)
		}
		if _, err := tx.ExecContext(ctx, setStatus, database.Array(cdids)); err != nil {
			return fmt.Errorf("write status: %w", err)
		}
		return nil
	})
}

// IsHostConflict reports whether err says that another domain with the same host is verified.
func IsHostConflict(err error) bool { return database.Violates(err, "inner_domain_checks_one_holder") }

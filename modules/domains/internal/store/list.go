package store

import (
	"context"
	"database/sql"
	"errors"

	"app238.com/inner/modules/domains/admin"
)

// state is the state, one of admin.States, of a row c of custom_domains with checks s.
const state = `CASE
    WHEN s.cdid IS NULL THEN 'new'
    WHEN s.gone THEN 'removing'
    WHEN s.refusal <> '' THEN 'refused'
    WHEN s.verified AND s.failures > 0 THEN 'failing'
    WHEN s.verified THEN 'verified'
    WHEN s.wished_status = 'error' THEN 'error'
    ELSE 'pending' END`

const domainColumns = `
SELECT c.id, c.cdid, c.user_uid, c.domain, c.target, c.status, c.created_at, COALESCE(s.certificate, '') AS certificate,
    COALESCE(s.checks, 0) AS checks,
    COALESCE(s.failures, 0) AS failures, COALESCE(s.answer, '') AS answer,
    CASE WHEN s.refusal <> '' THEN s.refusal ELSE COALESCE(s.detail, '') END AS detail,
    s.checked_at, s.next_check_at, ` + state + ` AS state
FROM custom_domains AS c LEFT JOIN inner_domain_checks AS s ON s.cdid = c.cdid`

const listDomains = `
SELECT d.id, d.cdid, d.user_uid, d.domain, d.target, d.status, d.created_at, d.certificate, d.checks, d.failures, d.answer,
    d.detail, d.checked_at, d.next_check_at, d.state
FROM (` + domainColumns + `) AS d
WHERE ($1 = '' OR d.state = $1) AND ($2 = '' OR d.user_uid = $2) AND ($3 = 0 OR d.id < $3)
  AND (NOT $5::BOOLEAN OR d.state IN ('failing', 'error', 'refused'))
ORDER BY d.id DESC LIMIT $4`

const oneDomain = domainColumns + `
WHERE c.cdid = $1 OR c.domain = $1 OR ($2 <> '' AND s.host = $2)
ORDER BY CASE WHEN c.cdid = $1 THEN 0 WHEN s.verified AND NOT s.gone THEN 1 WHEN c.domain = $1 THEN 2 ELSE 3 END, c.id LIMIT 1`

// List returns the matching domains, the newest first.
func (s *Store) List(ctx context.Context, f admin.Filter) ([]admin.Domain, error) {
	return s.domains(ctx, listDomains, f.State, f.User, f.Before, f.Limit, f.Failing)
}

// Find returns the domain with this cdid or domain, or with this canonical host; or ErrNotFound. Of several with the host, it is
// the one that is served, else the one that is spelled like this.
func (s *Store) Find(ctx context.Context, name, host string) (admin.Domain, error) {
	found, err := s.domains(ctx, oneDomain, name, host)
	if err != nil {
		return admin.Domain{}, err
	}
	if len(found) == 0 {
		return admin.Domain{}, ErrNotFound
	}
	return found[0], nil
}

const domainDetails = `
SELECT c.txt_name, c.txt_value, s.failing_since, COALESCE(s.unanswered, 0), COALESCE(s.verified AND NOT s.gone, false)
FROM custom_domains AS c LEFT JOIN inner_domain_checks AS s ON s.cdid = c.cdid WHERE c.cdid = $1`

// Details completes the details of a domain, or returns ErrNotFound.
func (s *Store) Details(ctx context.Context, d *admin.Details) error {
	err := s.readRow(ctx, domainDetails, []any{d.CDID}, &d.TXTName, &d.TXTValue, &d.FailingSince, &d.Unanswered, &d.Served)
	if errors.Is(err, sql.ErrNoRows) {
		return ErrNotFound
	}
	return err
}

func (s *Store) domains(ctx context.Context, query string, args ...any) ([]admin.Domain, error) {
	all, err := read(ctx, s, query, args, func(rows *sql.Rows, d *admin.Domain) error {
		return rows.Scan(&d.ID, &d.CDID, &d.UserUID, &d.Domain, &d.Target, &d.Status, &d.CreatedAt, &d.Certificate, &d.Checks,
			&d.Failures, &d.Answer, &d.Detail, &d.CheckedAt, &d.NextCheckAt, &d.State)
	})
	return append([]admin.Domain{}, all...), err // an empty list, not null, in JSON
}

const countStates = `
SELECT ` + state + `, count(*) FROM custom_domains AS c FULL OUTER JOIN inner_domain_checks AS s ON s.cdid = c.cdid GROUP BY 1`

// Count returns how many domains there are in each state.
func (s *Store) Count(ctx context.Context) (map[string]int64, error) {
	type counted struct {
		state string
		n     int64
	}
	all, err := read(ctx, s, countStates, nil, func(rows *sql.Rows, c *counted) error { return rows.Scan(&c.state, &c.n) })
	counts := map[string]int64{}
	for _, name := range admin.States() {
		counts[name] = 0
	}
	for _, c := range all {
		counts[c.state] = c.n
	}
	return counts, err
}

const countCertificates = `
SELECT COALESCE(sum(CASE WHEN certificate = $1 THEN 1 ELSE 0 END), 0), count(*) FROM inner_domain_checks
WHERE verified AND NOT gone AND certificate <> ''`

// Certificates returns how many served domains have a certificate whose readiness is ready, and how many do not.
func (s *Store) Certificates(ctx context.Context, ready string) (with, hideGroup int64, err error) {
	var all int64
	err = s.readRow(ctx, countCertificates, []any{ready}, &with, &all)
	return with, all - with, err
}

package store

import (
	"context"
	"database/sql"
	"time"

	"app238.com/inner/app/database"
	"app238.com/inner/modules/domains/internal/validate"
)

// ScannedRow is a row of custom_domains and the state of its checks.
type ScannedRow struct {
	ID  int64
	Row validate.Row
	// Known is true when there are checks with the row's cdid, Same when they are about the row as it is now, and Deleting when
	// they and the objects of the domain are being removed.
	Known, Same, Deleting bool
	// Result is that of its validation, as the checks have it, and Verified whether the domain may be served.
	Result   validate.Result
	Verified bool
	// StatusDiffers is true when the row does not have the desired status.
	StatusDiffers bool
}

const pageOfRows = `
SELECT c.id, c.cdid, c.user_uid, c.domain, c.target, c.txt_name, c.txt_value, s.cdid IS NOT NULL,
    COALESCE(` + same + `, false), COALESCE(s.gone, false), COALESCE(s.host, ''), COALESCE(s.target_host, ''),
    COALESCE(s.refusal, ''), COALESCE(s.verified, false),
    COALESCE(s.wished_status <> '' AND s.wished_status <> c.status AND NOT s.gone, false)
FROM (SELECT id, cdid, user_uid, domain, target, txt_name, txt_value, status FROM custom_domains
    WHERE id > $1 ORDER BY id LIMIT $2) AS c
LEFT JOIN inner_domain_checks AS s ON s.cdid = c.cdid
ORDER BY c.id`

// Rows returns at most limit rows of custom_domains with ids above after, in the order of their ids.
func (s *Store) Rows(ctx context.Context, after int64, limit int) ([]ScannedRow, error) {
	return read(ctx, s, pageOfRows, []any{after, limit}, func(rows *sql.Rows, r *ScannedRow) error {
		return rows.Scan(&r.ID, &r.Row.CDID, &r.Row.UserUID, &r.Row.Domain, &r.Row.Target, &r.Row.TXTName, &r.Row.TXTValue,
			&r.Known, &r.Same, &r.Deleting, &r.Result.Host, &r.Result.Target, &r.Result.Refusal, &r.Verified,
			&r.StatusDiffers)
	})
}

const lastRow = `SELECT COALESCE(max(row_id), 0) FROM inner_domain_checks`

// LastRow returns the highest custom_domains.id that has checks.
func (s *Store) LastRow(ctx context.Context) (id int64, err error) {
	err = s.readRow(ctx, lastRow, nil, &id)
	return id, err
}

const hasNew = `
SELECT (SELECT c.id FROM custom_domains AS c WHERE c.id > $1 ORDER BY c.id LIMIT 1) IS NOT NULL,
    (SELECT s.cdid FROM inner_domain_checks AS s
        WHERE s.next_check_at <= LOCALTIMESTAMP AND NOT s.gone AND ` + unclaimed + ` LIMIT 1) IS NOT NULL`

// HasNew reports whether there are rows of custom_domains with ids above after, and whether a domain is due for a check.
func (s *Store) HasNew(ctx context.Context, after int64) (rows, due bool, err error) {
	err = s.readRow(ctx, hasNew, []any{after}, &rows, &due)
	return rows, due, err
}

const addValues = `
INSERT INTO inner_domain_values (txt_value, user_uid)
SELECT lower(u.value), u.user_uid FROM unnest($1::TEXT[], $2::TEXT[]) AS u(value, user_uid)
ON CONFLICT (txt_value) DO NOTHING`

// addEntries refuses a value that was used by another user before: a TXT record that proves the claim of one user must not prove
// the claim of another.
const addEntries = `
INSERT INTO inner_domain_checks (cdid, name, row_id, user_uid, domain, target, txt_name, txt_value, host, target_host, refusal)
SELECT u.cdid, u.name, u.row_id, u.user_uid, u.domain, u.target, u.txt_name, u.txt_value, u.host, u.target_host,
    CASE WHEN u.refusal = '' AND v.user_uid <> u.user_uid THEN $12::TEXT ELSE u.refusal END
FROM unnest($1::TEXT[], $2::TEXT[], $3::BIGINT[], $4::TEXT[], $5::TEXT[], $6::TEXT[], $7::TEXT[], $8::TEXT[], $9::TEXT[],
    $10::TEXT[], $11::TEXT[])
    AS u(cdid, name, row_id, user_uid, domain, target, txt_name, txt_value, host, target_host, refusal)
LEFT JOIN inner_domain_values AS v ON v.txt_value = lower(u.txt_value)
ON CONFLICT (cdid) DO NOTHING`

// Add adds the checks of new domains, which are due at once. Existing checks are not changed.
func (s *Store) Add(ctx context.Context, entries []Entry) error {
	if len(entries) == 0 {
		return nil
	}
	columns := make([][]string, 10)
	ids := make([]int64, len(entries))
	for i, e := range entries {
		ids[i] = e.ID
		for c, text := range []string{e.Row.CDID, e.Name, e.Row.UserUID, e.Row.Domain, e.Row.Target, e.Row.TXTName, e.Row.TXTValue,
			e.Result.Host, e.Result.Target, e.Result.Refusal} {
			columns[c] = append(columns[c], text)
		}
	}
	args := []any{database.Array(columns[0]), database.Array(columns[1]), database.Array(ids)}
	for _, column := range columns[2:] {
		args = append(args, database.Array(column))
	}
	return s.writeEntries(ctx, entries, addEntries, append(args, validate.ReusedValue))
}

// writeEntries records the values of the entries that are not refused, and executes a statement that compares their users.
func (s *Store) writeEntries(ctx context.Context, entries []Entry, statement string, args []any) error {
	var values, owners []string
	for _, e := range entries {
		if e.Result.Refusal == "" {
			values, owners = append(values, e.Row.TXTValue), append(owners, e.Row.UserUID)
		}
	}
	return s.inTx(ctx, func(ctx context.Context, tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, addValues, database.Array(values), database.Array(owners)); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, statement, args...)
		return err
	})
}

// reviseEntries makes the domains due, restarts their schedule, and makes claims void: what a check finds that began before is
// about the old refusal.
const reviseEntries = `
UPDATE inner_domain_checks AS s
SET refusal = r.refusal, next_check_at = LOCALTIMESTAMP, begun_at = LOCALTIMESTAMP, checks = 0, lease_until = NULL,
    claim_number = s.claim_number + 1
FROM (SELECT u.cdid, u.user_uid, u.txt_value, u.host, u.target_host,
        CASE WHEN u.refusal = '' AND v.user_uid <> u.user_uid THEN $7::TEXT ELSE u.refusal END AS refusal
    FROM unnest($1::TEXT[], $2::TEXT[], $3::TEXT[], $4::TEXT[], $5::TEXT[], $6::TEXT[])
        AS u(cdid, user_uid, txt_value, host, target_host, refusal)
    LEFT JOIN inner_domain_values AS v ON v.txt_value = lower(u.txt_value)) AS r
WHERE s.cdid = r.cdid AND s.user_uid = r.user_uid AND s.txt_value = r.txt_value AND s.host = r.host
    AND s.target_host = r.target_host AND NOT s.gone AND NOT s.verified AND s.refusal <> r.refusal`

// Revise sets or clears the refusal of domains that are not verified, which are due at once. Their names stay as they are.
func (s *Store) Revise(ctx context.Context, entries []Entry) error {
	if len(entries) == 0 {
		return nil
	}
	columns := make([][]string, 6)
	for _, e := range entries {
		for c, text := range []string{e.Row.CDID, e.Row.UserUID, e.Row.TXTValue, e.Result.Host, e.Result.Target, e.Result.Refusal} {
			columns[c] = append(columns[c], text)
		}
	}
	var args []any
	for _, column := range columns {
		args = append(args, database.Array(column))
	}
	return s.writeEntries(ctx, entries, reviseEntries, append(args, validate.ReusedValue))
}

const removeChanged = `
UPDATE inner_domain_checks AS s
SET gone = true, gone_at = LOCALTIMESTAMP, revision = s.revision + 1, changed_at = LOCALTIMESTAMP
WHERE s.cdid = ANY($1) AND NOT s.gone AND EXISTS (SELECT 1 FROM custom_domains AS c WHERE c.cdid = s.cdid AND NOT ` + same + `)`

// RemoveChanged marks domains for removal whose rows have changed.
func (s *Store) RemoveChanged(ctx context.Context, cdids []string) error {
	if len(cdids) == 0 {
		return nil
	}
	_, err := s.exec(ctx, removeChanged, database.Array(cdids))
	return err
}

const countDeleted = `
SELECT count(*), count(*) FILTER (WHERE c.cdid IS NULL), count(*) FILTER (WHERE c.cdid IS NOT NULL AND s.gone_at IS NOT NULL),
    count(*) FILTER (WHERE c.cdid IS NULL AND s.gone_at IS NOT NULL)
FROM inner_domain_checks AS s LEFT JOIN custom_domains AS c ON c.cdid = s.cdid WHERE NOT s.gone`

// Counts are numbers of domains with checks.
type Counts struct {
	// Deleted are those whose row was deleted, Restored those whose row is restored, and Kept those among the deleted that
	// RemoveDeleted did not mark for removal.
	Known, Deleted, Restored, Kept int
}

// CountDeleted counts the domains with checks and those whose row was deleted.
func (s *Store) CountDeleted(ctx context.Context) (n Counts, err error) {
	err = s.readRow(ctx, countDeleted, nil, &n.Known, &n.Deleted, &n.Restored, &n.Kept)
	return n, err
}

const recordDeleted = `
UPDATE inner_domain_checks AS s SET gone_at = LOCALTIMESTAMP
WHERE NOT s.gone AND s.gone_at IS NULL AND NOT EXISTS (SELECT 1 FROM custom_domains AS c WHERE c.cdid = s.cdid)`

// wasVerified selects domains that were verified once, which raised the revision. Others never had objects.
const wasVerified = `revision > 1`

// removeDeleted counts and marks in one statement, which sees one snapshot: rows that are deleted between a count and an update
// would be marked without being counted. A user counts as one, however many rows it deletes: only if the table lost its rows,
// most users lost most of theirs.
const removeDeleted = `
UPDATE inner_domain_checks AS s SET gone = true, revision = s.revision + 1, changed_at = LOCALTIMESTAMP
WHERE NOT s.gone AND s.gone_at IS NOT NULL AND NOT EXISTS (SELECT 1 FROM custom_domains AS c WHERE c.cdid = s.cdid)
    AND (NOT s.` + wasVerified + ` OR s.gone_at <= LOCALTIMESTAMP - $1::FLOAT8 * INTERVAL '1 second' OR (
        SELECT CAST(COALESCE(sum(u.deleted), 0) AS BIGINT) < $2
            OR CAST(sum(u.deleted) AS FLOAT8) <= $3::FLOAT8 * CAST(sum(u.known) AS FLOAT8)
            OR count(*) FILTER (WHERE u.lost) < LEAST(2, count(*))
            OR CAST(count(*) FILTER (WHERE u.lost) AS FLOAT8) <= $3::FLOAT8 * CAST(count(*) AS FLOAT8)
        FROM (SELECT count(*) AS known, count(*) FILTER (WHERE c.cdid IS NULL) AS deleted,
                CAST(count(*) FILTER (WHERE c.cdid IS NULL) AS FLOAT8) > $3::FLOAT8 * CAST(count(*) AS FLOAT8) AS lost
            FROM inner_domain_checks AS k LEFT JOIN custom_domains AS c ON c.cdid = k.cdid
            WHERE NOT k.gone AND k.` + wasVerified + ` GROUP BY k.user_uid) AS u))`

const recordRestored = `
UPDATE inner_domain_checks AS s SET gone_at = NULL
WHERE NOT s.gone AND s.gone_at IS NOT NULL AND EXISTS (SELECT 1 FROM custom_domains AS c WHERE c.cdid = s.cdid)`

// Removal are the limits of removing domains whose rows were deleted. Domains that were never verified are removed at once. The
// others are too, unless at least Minimum of them, more than Share of them, and more than Share of the domains of more than Share
// of the users are missing; then only after Grace.
type Removal struct {
	Minimum int
	Share   float64
	Grace   time.Duration
}

// RemoveDeleted marks domains for removal whose rows were deleted, and returns their number.
func (s *Store) RemoveDeleted(ctx context.Context, r Removal) (int64, error) {
	for _, statement := range []string{recordRestored, recordDeleted} {
		if _, err := s.exec(ctx, statement); err != nil {
			return 0, err
		}
	}
	return s.exec(ctx, removeDeleted, r.Grace.Seconds(), r.Minimum, r.Share)
}

const recentlyVerified = `
SELECT r.cdid, r.user_uid, r.host, r.unanswered
FROM (SELECT cdid, user_uid, host, unanswered, row_number() OVER (PARTITION BY user_uid ORDER BY begun_at DESC) AS turn
    FROM inner_domain_checks WHERE verified AND NOT gone AND begun_at > LOCALTIMESTAMP - $1::FLOAT8 * INTERVAL '1 second') AS r
ORDER BY r.turn LIMIT $2`

// RecentlyVerified returns at most limit verified domains whose checks began within the last time ago. The users take turns.
func (s *Store) RecentlyVerified(ctx context.Context, ago time.Duration, limit int) ([]Candidate, error) {
	return s.candidates(ctx, recentlyVerified, ago.Seconds(), limit)
}

// setStatus leaves rows that somebody has locked to a later scan: the checks and removals of all users would wait for them.
const setStatus = `
WITH differing AS (
    SELECT c.id, s.wished_status FROM custom_domains AS c JOIN inner_domain_checks AS s ON s.cdid = c.cdid
    WHERE s.cdid = ANY($1) AND NOT s.gone AND s.wished_status <> '' AND s.wished_status <> c.status AND ` + same + `
    FOR UPDATE OF c SKIP LOCKED)
UPDATE custom_domains AS c SET status = d.wished_status FROM differing AS d WHERE c.id = d.id`

// SetStatus writes the desired status to the rows of these domains that nobody has locked.
func (s *Store) SetStatus(ctx context.Context, cdids []string) error {
	if len(cdids) == 0 {
		return nil
	}
	_, err := s.exec(ctx, setStatus, database.Array(cdids))
	return err
}

package store

import (
	"context"
	"database/sql"
	"time"

	"app238.com/inner/app/database"
	"app238.com/inner/modules/domains/internal/rules"
)

// Seen is a row of custom_domains beside what Inner knows of it.
type Seen struct {
	ID  int64
	Row rules.Row
	// Known tells whether Inner has checks of a row with this cdid, Same whether they are about the row as it is now, and
	// Gone whether what belongs to them is being removed.
	Known, Same, Gone bool
	// StatusDiffers tells that the row's status is not what it is to be.
	StatusDiffers bool
}

const pageOfRows = `
SELECT c.id, c.cdid, c.user_uid, c.domain, c.target, c.txt_name, c.txt_value, s.cdid IS NOT NULL,
    COALESCE(` + same + `, false), COALESCE(s.gone, false),
    COALESCE(s.wished_status <> '' AND s.wished_status <> c.status AND NOT s.gone, false)
FROM (SELECT id, cdid, user_uid, domain, target, txt_name, txt_value, status FROM custom_domains WHERE id > $1 ORDER BY id LIMIT $2) AS c
LEFT JOIN inner_domain_checks AS s ON s.cdid = c.cdid
ORDER BY c.id`

// Rows returns at most limit rows of custom_domains with ids above after, in their order.
func (s *Store) Rows(ctx context.Context, after int64, limit int) ([]Seen, error) {
	return read(ctx, s, pageOfRows, []any{after, limit}, func(rows *sql.Rows, r *Seen) error {
		return rows.Scan(&r.ID, &r.Row.CDID, &r.Row.UserUID, &r.Row.Domain, &r.Row.Target, &r.Row.TXTName, &r.Row.TXTValue,
			&r.Known, &r.Same, &r.Gone, &r.StatusDiffers)
	})
}

const lastRow = `SELECT COALESCE(max(row_id), 0) FROM inner_domain_checks`

// LastRow returns the highest custom_domains.id that is known.
func (s *Store) LastRow(ctx context.Context) (id int64, err error) {
	err = s.readRow(ctx, lastRow, nil, &id)
	return id, err
}

const news = `
SELECT (SELECT c.id FROM custom_domains AS c WHERE c.id > $1 ORDER BY c.id LIMIT 1) IS NOT NULL,
    (SELECT s.cdid FROM inner_domain_checks AS s WHERE s.next_check_at <= LOCALTIMESTAMP AND NOT s.gone AND ` + free + ` LIMIT 1) IS NOT NULL`

// News tells whether there are rows of custom_domains with ids above after, and whether a known domain is due for a check.
func (s *Store) News(ctx context.Context, after int64) (rows, due bool, err error) {
	err = s.readRow(ctx, news, []any{after}, &rows, &due)
	return rows, due, err
}

const addValues = `
INSERT INTO inner_domain_values (txt_value, user_uid)
SELECT lower(u.value), u.user_uid FROM unnest($1::TEXT[], $2::TEXT[]) AS u(value, user_uid)
ON CONFLICT (txt_value) DO NOTHING`

// addEntries refuses a value that was seen for another user before: a record that proves one user's claim must not prove
// the claim of whoever comes next.
const addEntries = `
INSERT INTO inner_domain_checks (cdid, name, row_id, user_uid, domain, target, txt_name, txt_value, host, target_host, refusal)
SELECT u.cdid, u.name, u.row_id, u.user_uid, u.domain, u.target, u.txt_name, u.txt_value, u.host, u.target_host,
    CASE WHEN u.refusal = '' AND v.user_uid <> u.user_uid THEN $12::TEXT ELSE u.refusal END
FROM unnest($1::TEXT[], $2::TEXT[], $3::BIGINT[], $4::TEXT[], $5::TEXT[], $6::TEXT[], $7::TEXT[], $8::TEXT[], $9::TEXT[],
    $10::TEXT[], $11::TEXT[])
    AS u(cdid, name, row_id, user_uid, domain, target, txt_name, txt_value, host, target_host, refusal)
LEFT JOIN inner_domain_values AS v ON v.txt_value = lower(u.txt_value)
ON CONFLICT (cdid) DO NOTHING`

// foreignValue is the refusal of a value that another user had.
const foreignValue = "the value of the TXT record was given to another user"

// Add makes domains known; they are due for a check at once. Those that became known meanwhile stay as they are.
func (s *Store) Add(ctx context.Context, entries []Entry) error {
	if len(entries) == 0 {
		return nil
	}
	columns := make([][]string, 10)
	ids := make([]int64, len(entries))
	var values, owners []string
	for i, e := range entries {
		ids[i] = e.ID
		for c, text := range []string{e.Row.CDID, e.Name, e.Row.UserUID, e.Row.Domain, e.Row.Target, e.Row.TXTName, e.Row.TXTValue,
			e.Verdict.Host, e.Verdict.Target, e.Verdict.Refusal} {
			columns[c] = append(columns[c], text)
		}
		if e.Verdict.Refusal == "" {
			values, owners = append(values, e.Row.TXTValue), append(owners, e.Row.UserUID)
		}
	}
	args := []any{database.Array(columns[0]), database.Array(columns[1]), database.Array(ids)}
	for _, column := range columns[2:] {
		args = append(args, database.Array(column))
	}
	args = append(args, foreignValue)
	return s.inTx(ctx, func(ctx context.Context, tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, addValues, database.Array(values), database.Array(owners)); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, addEntries, args...)
		return err
	})
}

const changed = `
UPDATE inner_domain_checks AS s SET gone = true, gone_at = LOCALTIMESTAMP, revision = s.revision + 1
WHERE s.cdid = ANY($1) AND NOT s.gone AND EXISTS (SELECT 1 FROM custom_domains AS c WHERE c.cdid = s.cdid AND NOT ` + same + `)`

// Changed has what belongs to domains removed whose rows are not what they were.
func (s *Store) Changed(ctx context.Context, cdids []string) error {
	if len(cdids) == 0 {
		return nil
	}
	_, err := s.exec(ctx, changed, database.Array(cdids))
	return err
}

const countVanished = `
SELECT count(*), count(*) FILTER (WHERE c.cdid IS NULL), count(*) FILTER (WHERE c.cdid IS NOT NULL AND s.gone_at IS NOT NULL),
    count(*) FILTER (WHERE c.cdid IS NULL AND s.gone_at IS NOT NULL)
FROM inner_domain_checks AS s LEFT JOIN custom_domains AS c ON c.cdid = s.cdid WHERE NOT s.gone`

// Counts are of known domains.
type Counts struct {
	// Vanished are those without a row, Returned those whose row is there again, Kept those of the vanished that RemoveVanished
	// has seen and left.
	Known, Vanished, Returned, Kept int
}

// Vanished counts the known domains and those among them without a row.
func (s *Store) Vanished(ctx context.Context) (n Counts, err error) {
	err = s.readRow(ctx, countVanished, nil, &n.Known, &n.Vanished, &n.Returned, &n.Kept)
	return n, err
}

const noteVanished = `
UPDATE inner_domain_checks AS s SET gone_at = LOCALTIMESTAMP
WHERE NOT s.gone AND s.gone_at IS NULL AND NOT EXISTS (SELECT 1 FROM custom_domains AS c WHERE c.cdid = s.cdid)`

// served selects what was verified once: the revision grows with that. Nothing was ever made for another.
const served = `revision > 1`

// removeVanished counts and removes in one statement, which sees one state of the table: rows that vanish between a count and
// a removal would be removed uncounted. A user counts as one, however many rows it deletes: only a table that lost its rows has
// most users lose most of theirs.
const removeVanished = `
UPDATE inner_domain_checks AS s SET gone = true, revision = s.revision + 1
WHERE NOT s.gone AND s.gone_at IS NOT NULL AND NOT EXISTS (SELECT 1 FROM custom_domains AS c WHERE c.cdid = s.cdid)
    AND (NOT s.` + served + ` OR s.gone_at <= LOCALTIMESTAMP - $1::FLOAT8 * INTERVAL '1 second' OR (
        SELECT CAST(COALESCE(sum(u.vanished), 0) AS BIGINT) < $2 OR CAST(sum(u.vanished) AS FLOAT8) <= $3::FLOAT8 * CAST(sum(u.known) AS FLOAT8)
            OR count(*) FILTER (WHERE u.lost) < LEAST(2, count(*))
            OR CAST(count(*) FILTER (WHERE u.lost) AS FLOAT8) <= $3::FLOAT8 * CAST(count(*) AS FLOAT8)
        FROM (SELECT count(*) AS known, count(*) FILTER (WHERE c.cdid IS NULL) AS vanished,
                CAST(count(*) FILTER (WHERE c.cdid IS NULL) AS FLOAT8) > $3::FLOAT8 * CAST(count(*) AS FLOAT8) AS lost
            FROM inner_domain_checks AS k LEFT JOIN custom_domains AS c ON c.cdid = k.cdid
            WHERE NOT k.gone AND k.` + served + ` GROUP BY k.user_uid) AS u))`

const noteReturned = `
UPDATE inner_domain_checks AS s SET gone_at = NULL
WHERE NOT s.gone AND s.gone_at IS NOT NULL AND EXISTS (SELECT 1 FROM custom_domains AS c WHERE c.cdid = s.cdid)`

// Removal says when what belongs to vanished rows is removed: at once, unless at least Number of those that were verified once,
// more than Share of them, and more than Share of those of more than Share of the users, are missing; then only after Grace.
type Removal struct {
	Number int
	Share  float64
	Grace  time.Duration
}

// RemoveVanished has what belongs to vanished rows removed, and returns how many these are.
func (s *Store) RemoveVanished(ctx context.Context, r Removal) (int64, error) {
	for _, statement := range []string{noteReturned, noteVanished} {
		if _, err := s.exec(ctx, statement); err != nil {
			return 0, err
		}
	}
	return s.exec(ctx, removeVanished, r.Grace.Seconds(), r.Number, r.Share)
}

const recent = `
SELECT r.cdid, r.user_uid, r.host, r.unanswered
FROM (SELECT cdid, user_uid, host, unanswered, row_number() OVER (PARTITION BY user_uid ORDER BY begun_at DESC) AS turn
    FROM inner_domain_checks WHERE verified AND NOT gone AND begun_at > LOCALTIMESTAMP - $1::FLOAT8 * INTERVAL '1 second') AS r
ORDER BY r.turn LIMIT $2`

// Recent returns at most limit verified domains that became known no longer ago, by turns of their users.
func (s *Store) Recent(ctx context.Context, ago time.Duration, limit int) ([]Waiting, error) {
	return s.waiting(ctx, recent, ago.Seconds(), limit)
}

const setStatus = `
UPDATE custom_domains AS c SET status = s.wished_status FROM inner_domain_checks AS s
WHERE s.cdid = c.cdid AND s.cdid = ANY($1) AND NOT s.gone AND s.wished_status <> '' AND s.wished_status <> c.status AND ` + same

// SetStatus writes to the rows of these domains what their status is to be.
func (s *Store) SetStatus(ctx context.Context, cdids []string) error {
	if len(cdids) == 0 {
		return nil
	}
	_, err := s.exec(ctx, setStatus, database.Array(cdids))
	return err
}

package store

import (
	"context"
	"errors"
	"math/big"
	"time"

	"app238.com/inner/modules/combinator/admin"
)

// sumDays is raw SQL: it joins reports to their resources, and both to the sizes. A sum of BIGINTs is a number of any length and
// is read as text.
const sumDays = `SELECT c.user_uid, c.resource_id, c.resource_type, COALESCE(CAST(d.day AS VARCHAR), ''), COALESCE(d.reports, 0),
    COALESCE(d.datachange, '0'), s.bytes
FROM combinator_resources c
LEFT JOIN (
    SELECT resource_id, CAST(record_start AS DATE) AS day, count(*) AS reports, CAST(sum(datachange) AS VARCHAR) AS datachange
    FROM combinator_resource_reports
    WHERE record_start >= $2::TIMESTAMP AND record_start < $3::TIMESTAMP
    GROUP BY resource_id, CAST(record_start AS DATE)
) d ON d.resource_id = c.id
LEFT JOIN combinator_sizes s ON s.user_uid = c.user_uid AND s.resource_id = c.resource_id AND c.resource_type = 'rdb'
WHERE ($1 = '' OR c.user_uid = $1) AND (d.day IS NOT NULL OR s.bytes IS NOT NULL)
ORDER BY c.user_uid, c.resource_id, d.day`

// Days implements admin.Admin.
func (s *Store) Days(ctx context.Context, query admin.Query) ([]admin.Day, error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	from, to := query.From.UTC(), query.To.UTC().AddDate(0, 0, 1)
	if query.From.IsZero() {
		from = time.Unix(0, 0).UTC()
	}
	if query.To.IsZero() {
		to = time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)
	}
	found, err := s.db.QueryContext(ctx, sumDays, query.UserUID, timestamp(from), timestamp(to))
	if err != nil {
		return nil, err
	}
	defer func() { _ = found.Close() }()
	days := []admin.Day{}
	for found.Next() {
		var d admin.Day
		var change string
		if err := found.Scan(&d.UserUID, &d.ResourceID, &d.ResourceType, &d.Day, &d.Reports, &change, &d.Bytes); err != nil {
			return nil, err
		}
		var ok bool
		if d.DataChange, ok = new(big.Int).SetString(change, 10); !ok {
			return nil, errors.New("the sum of changes is not an integer")
		}
		days = append(days, d)
	}
	return days, found.Err()
}

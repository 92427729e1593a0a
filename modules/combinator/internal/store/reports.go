package store

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"

	"app238.com/inner/app/database"
)

// Report is the measurement of one resource by one pod over a time span.
type Report struct {
	UserUID, ResourceID, ResourceType string
	// DataChange is the number of bytes gained, or lost when negative.
	DataChange int64
	// Start and End are in UTC, with microseconds.
	Start, End time.Time
}

// UnknownResourceError says that a report names no resource of its user and type.
type UnknownResourceError struct{ Index int }

// Error names the report.
func (u *UnknownResourceError) Error() string {
	return fmt.Sprintf("report %d names no resource of this user and type", u.Index)
}

// These statements are raw SQL because they take a batch.
const (
	findResources = `SELECT min(id), user_uid, resource_id, resource_type FROM combinator_resources
WHERE resource_id = ANY($1) GROUP BY user_uid, resource_id, resource_type`
	// insertReports inserts any number of reports with six arguments.
	insertReports = `INSERT INTO combinator_resource_reports (user_uid, resource_id, datachange, record_start, record_end, fingerprint)
SELECT r.user_uid, r.resource_id, r.datachange, r.record_start, r.record_end, r.fingerprint
FROM unnest($1::VARCHAR[], $2::BIGINT[], $3::BIGINT[], $4::TIMESTAMP[], $5::TIMESTAMP[], $6::TEXT[])
    AS r(user_uid, resource_id, datachange, record_start, record_end, fingerprint)
ON CONFLICT (fingerprint) DO NOTHING`
)

// reportResource is the resource of a report.
type reportResource struct{ userUID, id, kind string }

// saveAttempts bounds the tries to look up the resources again when one was deleted just before the insert.
const saveAttempts = 3

// SaveReports stores all reports of a reporter, or none and an *UnknownResourceError. A report that the same reporter sent
// before is not stored again; equal reports of two pods are both stored.
func (s *Store) SaveReports(ctx context.Context, reporter string, all []Report) error {
	if len(all) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	for run := 1; ; run++ {
		err := database.Retry(ctx, func(ctx context.Context) error { return s.saveReports(ctx, reporter, all) })
		if run == saveAttempts || !database.IsForeignKeyViolation(err) {
			return err
		}
	}
}

func (s *Store) saveReports(ctx context.Context, reporter string, all []Report) error {
	known, err := s.reportResources(ctx, all)
	if err != nil {
		return err
	}
	n := len(all)
	users, ids, changes := make([]string, n), make([]int64, n), make([]int64, n)
	starts, ends, fingerprints := make([]string, n), make([]string, n), make([]string, n)
	for i, report := range all {
		id, ok := known[reportResource{report.UserUID, report.ResourceID, report.ResourceType}]
		if !ok {
			return &UnknownResourceError{Index: i}
		}
		users[i], ids[i], changes[i] = report.UserUID, id, report.DataChange
		starts[i], ends[i], fingerprints[i] = timestamp(report.Start), timestamp(report.End), report.fingerprint(id, reporter)
	}
	_, err = s.db.ExecContext(ctx, insertReports, database.Array(users), database.Array(ids), database.Array(changes),
		database.Array(starts), database.Array(ends), database.Array(fingerprints))
	return err
}

// timestamp formats a time for SQL.
func timestamp(t time.Time) string { return t.Format("2006-01-02 15:04:05.999999") }

// fingerprint returns the same text for the same report of the same reporter.
func (r Report) fingerprint(id int64, reporter string) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%d %d %d %d %s", id, r.Start.UnixMicro(), r.End.UnixMicro(), r.DataChange, reporter))
	return hex.EncodeToString(sum[:16])
}

// reportResources returns the row ids of the resources in the reports.
func (s *Store) reportResources(ctx context.Context, all []Report) (map[reportResource]int64, error) {
	wanted := map[string]bool{}
	var names []string
	for _, report := range all {
		if !wanted[report.ResourceID] {
			wanted[report.ResourceID] = true
			names = append(names, report.ResourceID)
		}
	}
	found, err := s.db.QueryContext(ctx, findResources, database.Array(names))
	if err != nil {
		return nil, err
	}
	defer func() { _ = found.Close() }()
	known := map[reportResource]int64{}
	for found.Next() {
		var id int64
		var resource reportResource
		if err := found.Scan(&id, &resource.userUID, &resource.id, &resource.kind); err != nil {
			return nil, err
		}
		known[resource] = id
	}
	return known, found.Err()
}

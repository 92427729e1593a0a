package database

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/hex"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"app238.com/inner/app/config"
)

const (
	// maxClockLag is how far the clock of the server may be from this machine's. Nothing compares the two, but ages and due
	// times are the server's.
	maxClockLag = 5 * time.Second
	// probeSize is the size of what ProbeWrite writes: more pages than a table usually has free.
	probeSize = 64 << 10
)

// Server is what a database server reports about itself.
type Server struct {
	// Version is its name and version, such as PostgreSQL 15.14.
	Version string
	// ClockLag is how far its clock is ahead of this machine's, negative if it is behind, 0 within the time of the query.
	ClockLag time.Duration
}

const inspectServer = `SELECT version(), CAST(EXTRACT(EPOCH FROM LOCALTIMESTAMP) AS FLOAT8)`

// Inspect asks the server for its version and time.
func Inspect(ctx context.Context, db *sql.DB, c *config.Config) (Server, error) {
	ctx, cancel := context.WithTimeout(ctx, c.Database.StatementTimeout)
	defer cancel()
	var full string
	var seconds float64
	begin := time.Now()
	if err := db.QueryRowContext(ctx, inspectServer).Scan(&full, &seconds); err != nil {
		return Server{}, err
	}
	// "PostgreSQL 15.14 (Debian …) on …", "CockroachDB CCL v25.3.1 (…)"
	version, _, _ := strings.Cut(full, " (")
	version, _, _ = strings.Cut(version, " on ")
	return Server{Version: version, ClockLag: clockLag(time.UnixMicro(int64(seconds*1e6)), begin, time.Now())}, nil
}

// clockLag returns how far a time of the server's clock is outside of the interval in which it was read.
func clockLag(server, begin, end time.Time) time.Duration {
	switch {
	case server.After(end):
		return server.Sub(end)
	case server.Before(begin):
		return server.Sub(begin)
	}
	return 0
}

// oldest are the oldest supported versions, by the name of the engine; see docs/databases.md.
var oldest = map[string][2]int{"PostgreSQL": {14, 0}, "CockroachDB": {24, 1}}

var versionNumber = regexp.MustCompile(`^(\w+)\D* v?(\d+)(?:\.(\d+))?`)

// Problem returns why the server should not be used as it is, or "".
func (s Server) Problem() string {
	var problems []string
	if !supported(s.Version) {
		problems = append(problems, s.Version+" is not supported: see docs/databases.md")
	}
	if lag := s.ClockLag.Abs(); lag > maxClockLag {
		direction := "ahead of"
		if s.ClockLag < 0 {
			direction = "behind"
		}
		problems = append(problems, fmt.Sprintf("its clock is %s %s this machine's", lag.Round(time.Second), direction))
	}
	return strings.Join(problems, "; ")
}

func supported(version string) bool {
	found := versionNumber.FindStringSubmatch(version)
	if found == nil {
		return false
	}
	least, known := oldest[found[1]]
	major, err := strconv.Atoi(found[2])
	minor, _ := strconv.Atoi(found[3]) // "" for none
	return known && err == nil && (major > least[0] || major == least[0] && minor >= least[1])
}

const (
	insertProbe = `INSERT INTO inner_platform (name, value) VALUES ($1, $2)`
	deleteProbe = `DELETE FROM inner_platform WHERE name = $1`
)

// ProbeWrite commits a row that needs new pages, and deletes it in the same transaction: a server without disk space may still
// take small ones.
func ProbeWrite(ctx context.Context, db *sql.DB, c *config.Config) error {
	ctx, cancel := context.WithTimeout(ctx, c.Database.StatementTimeout)
	defer cancel()
	content := make([]byte, probeSize/2) // random, so that it is not compressed
	_, _ = rand.Read(content)            // never fails
	return Retry(ctx, func(ctx context.Context) error {
		tx, err := db.BeginTx(ctx, nil)
		if err != nil {
			return err
		}
		defer func() { _ = tx.Rollback() }()
		name := "probe " + rand.Text()
		if _, err := tx.ExecContext(ctx, insertProbe, name, hex.EncodeToString(content)); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, deleteProbe, name); err != nil {
			return err
		}
		return tx.Commit()
	})
}

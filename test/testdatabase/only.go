package testdatabase

import (
	"context"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"app238.com/inner/app/database"
)

// isCockroachDB tells, queried once per process, whether the test run's server is a CockroachDB.
var isCockroachDB = sync.OnceValues(func() (bool, error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	c, err := load(os.Getenv(variable))
	if err != nil {
		return false, err
	}
	db, err := database.Open(c)
	if err != nil {
		return false, err
	}
	defer func() { _ = db.Close() }()
	found, err := database.Inspect(ctx, db, c)
	return strings.HasPrefix(found.Version, "CockroachDB"), err
})

// IsCockroachDB tells whether the test run's server is a CockroachDB, or emulates one.
func IsCockroachDB(t testing.TB) bool {
	t.Helper()
	is, err := isCockroachDB()
	if err != nil {
		t.Fatalf("%s: the server does not say what it is: %v", variable, err)
	}
	return is
}

// PostgreSQLOnly skips a test if the test run's server is a CockroachDB. The reason says what CockroachDB lacks.
func PostgreSQLOnly(t testing.TB, reason string) {
	t.Helper()
	if IsCockroachDB(t) {
		t.Skipf("for a PostgreSQL only: %s", reason)
	}
}

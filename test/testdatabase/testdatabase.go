// Package testdatabase creates a database for each test on the real server of the test run.
//
// INNER_TEST_DSN names the server: `make test` starts a PostgreSQL and sets it; it may name a CockroachDB instead. Every
// statement of a test is also checked by CockroachDB's own parser and type checker.
package testdatabase

import (
	"context"
	"crypto/rand"
	"database/sql"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"
	"github.com/stretchr/testify/require"

	"app238.com/inner/app/config"
	"app238.com/inner/app/database"
)

// variable holds the DSN of a superuser.
const variable = "INNER_TEST_DSN"

// Database is the database of one test.
type Database struct {
	*sql.DB
	// Prepared is the pool of the queue's statements.
	Prepared *database.PreparedPool
	// Heartbeat is the connection of heartbeats.
	Heartbeat *database.Heartbeat
	// Config is the default configuration with this database's DSN.
	Config *config.Config
}

// New returns a new database with all tables, dropped when the test ends. Statements that contain one of the exceptions
// are not checked.
func New(t testing.TB) *Database {
	t.Helper()
	d := NewEmpty(t)
	require.NoError(t, database.Migrate(t.Context(), d.DB))
	return d
}

// NewEmpty is New without tables.
func NewEmpty(t testing.TB) *Database {
	t.Helper()
	server := os.Getenv(variable)
	require.NotEmpty(t, server, "%s is not set: run the tests with make test", variable)
	u, err := url.Parse(server)
	require.NoError(t, err)
	name := "test_" + strings.ToLower(rand.Text())
	admin, err := database.Open(Config(t, u.String()))
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	_, err = admin.ExecContext(ctx, `CREATE DATABASE `+name)
	require.NoError(t, err)
	t.Cleanup(func() {
		// The test's own context has ended by now.
		_, err := admin.ExecContext(context.WithoutCancel(ctx), `DROP DATABASE IF EXISTS `+name)
		if err != nil {
			t.Logf("database %s is left behind: %v", name, err)
		}
		_ = admin.Close()
	})
	u.Path = "/" + name
	return At(t, u.String())
}

// At returns the database of a DSN as it is.
func At(t testing.TB, dsn string) *Database {
	t.Helper()
	c := Config(t, dsn)
	connector, err := database.Connector(c)
	require.NoError(t, err)
	connector = Checked(t, connector)
	db := database.Pool(connector, c)
	prepared := database.NewPreparedPool(connector, c)
	forHeartbeats, err := database.HeartbeatConnector(c)
	require.NoError(t, err)
	heartbeat := database.NewHeartbeat(Checked(t, forHeartbeats))
	t.Cleanup(func() {
		_ = db.Close()
		_ = prepared.Close()
		_ = heartbeat.Close()
	})
	return &Database{DB: db, Prepared: prepared, Heartbeat: heartbeat, Config: c}
}

// Config returns the default configuration for tests with this DSN.
func Config(t testing.TB, dsn string) *config.Config {
	t.Helper()
	c, err := load(dsn)
	require.NoError(t, err)
	return c
}

func load(dsn string) (*config.Config, error) {
	flags := pflag.NewFlagSet("test", pflag.ContinueOnError)
	config.AddFlags(flags)
	if err := flags.Parse([]string{"--database", dsn}); err != nil {
		return nil, err
	}
	c, err := config.LoadForDatabase(flags)
	if err != nil {
		return nil, err
	}
	c.Domain = "localhost.test"
	return c, nil
}

package testdatabase

import (
	"testing"

	"github.com/stretchr/testify/require"

	"app238.com/inner/app/config"
	"app238.com/inner/test/cockroach/server"
)

// AsCockroachDB returns the same database through a server that emulates a CockroachDB, until the test ends.
func (d *Database) AsCockroachDB(t testing.TB) (*Database, *server.Server) {
	t.Helper()
	s, dsn := EmulateCockroachDB(t, d.Config.Database.DSN)
	return At(t, dsn.Reveal()), s
}

// EmulateCockroachDB starts a server that emulates a CockroachDB in front of the PostgreSQL of a DSN, until the test ends, and
// returns its DSN.
func EmulateCockroachDB(t testing.TB, dsn config.Secret) (*server.Server, config.Secret) {
	t.Helper()
	PostgreSQLOnly(t, "it would be played in front of itself")
	s, err := server.Start(t.Context(), dsn.Reveal())
	require.NoError(t, err)
	t.Cleanup(func() { _ = s.Close() })
	played, err := s.DSN(dsn.Reveal())
	require.NoError(t, err)
	return s, config.Secret(played)
}

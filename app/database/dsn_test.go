package database

import (
	"testing"

	"github.com/lib/pq"
	"github.com/stretchr/testify/require"

	"app238.com/inner/app/config"
)

func TestDSNWithSchemeIsURL(t *testing.T) {
	t.Parallel()
	for _, dsn := range []string{
		"host=h port=7 user=u password=p://w dbname=d", "host=h port=7 user=u password='p://w' dbname=d",
		" password='p://w' host=h port=7 user=u dbname=d",
		"postgres://u:p%3A%2F%2Fw@h:7/d", " postgresql://u:p%3A%2F%2Fw@h:7/d ",
	} {
		made, err := withSettings(config.Database{DSN: config.Secret(dsn)})
		require.NoError(t, err, dsn)
		parsed, err := pq.NewConfig(made)
		require.NoError(t, err, dsn)
		require.Equal(t, []any{"h", uint16(7), "u", "p://w", "d"},
			[]any{parsed.Host, parsed.Port, parsed.User, parsed.Password, parsed.Database}, dsn)
		require.Equal(t, "inner-gateway", parsed.ApplicationName, dsn)
		_, err = Connector(&config.Config{Database: config.Database{DSN: config.Secret(dsn)}})
		require.NoError(t, err, dsn)
	}
	for _, dsn := range []string{"mysql://u:hidden@h/d?sslmode=disable", "nonsense", "postgres:/u:hidden@h", "://hidden"} {
		_, err := Connector(&config.Config{Database: config.Database{DSN: config.Secret(dsn)}})
		require.EqualError(t, err, "database.dsn: not a valid postgres:// URL", dsn)
		require.ErrorAs(t, err, &config.Error{})
	}
}

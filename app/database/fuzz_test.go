package database_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"app238.com/inner/app/config"
	"app238.com/inner/app/database"
)

// FuzzDSN parses DSNs as an operator may write them: errors never contain the password.
func FuzzDSN(f *testing.F) {
	for _, seed := range []string{
		"postgres://u:%@h/d?sslmode=disable", "host=h user=u password=% dbname=d", "password='%' host", "mysql://u:%@h",
		"postgres://u:%@h:port/d", "%",
	} {
		f.Add(seed)
	}
	const mark = "S3CR3TMARK"
	f.Fuzz(func(t *testing.T, dsn string) {
		c := &config.Config{Database: config.Database{DSN: config.Secret(strings.ReplaceAll(dsn, "%", mark))}}
		_, err := database.Connector(c)
		prepared, other := database.OpenPreparedPool(c)
		if other == nil {
			require.NoError(t, prepared.Close())
		}
		for _, failed := range []error{err, other} {
			if failed != nil {
				require.NotContains(t, failed.Error(), mark)
			}
		}
	})
}

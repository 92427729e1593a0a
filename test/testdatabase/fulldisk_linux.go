package testdatabase

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"os/user"
	"strconv"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"app238.com/inner/app/database"
)

// SmallDisk moves the table of the platform's id to a disk of a megabyte, until the test ends, and returns what fills that disk
// and returns the error of the server. It skips tests that have no right to mount.
func SmallDisk(t testing.TB, db *Database) (fill func() error) {
	t.Helper()
	PostgreSQLOnly(t, "its tablespaces")
	raw, err := database.Open(db.Config) // its statements are PostgreSQL's own
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, raw.Close()) })
	exec := func(statement string) error {
		_, err := raw.ExecContext(context.WithoutCancel(t.Context()), statement)
		return err
	}
	space := smallSpace(t)
	name := "small_" + strconv.Itoa(rand.Int())
	require.NoError(t, exec(`CREATE TABLESPACE `+name+` LOCATION '`+space+`'`))
	t.Cleanup(func() {
		require.NoError(t, errors.Join(exec(`DROP TABLE filler`), exec(`ALTER TABLE inner_platform SET TABLESPACE pg_default`),
			exec(`DROP TABLESPACE `+name)))
	})
	require.NoError(t, exec(`ALTER TABLE inner_platform SET TABLESPACE `+name))
	require.NoError(t, exec(`CREATE TABLE filler (x TEXT) TABLESPACE `+name))
	return func() (full error) {
		for range 1000 {
			if full = exec(`INSERT INTO filler SELECT repeat('x', 2000) FROM generate_series(1, 4)`); full != nil {
				break
			}
		}
		return full
	}
}

// smallSpace returns a folder of the server's account on a file system of a megabyte.
func smallSpace(t testing.TB) string {
	t.Helper()
	account, err := user.Lookup("postgres")
	if err != nil || os.Geteuid() != 0 {
		t.Skip("only root can mount a small file system for the account of the server")
	}
	folder, err := os.MkdirTemp("", "inner-full-") //nolint:usetesting // t.TempDir is in a folder of root alone
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.Remove(folder)) })
	if err := syscall.Mount("tmpfs", folder, "tmpfs", 0, "size=1m,mode=700,uid="+account.Uid+",gid="+account.Gid); err != nil {
		t.Skipf("no file system can be mounted here: %v", err)
	}
	t.Cleanup(func() { require.NoError(t, syscall.Unmount(folder, 0)) })
	return folder
}

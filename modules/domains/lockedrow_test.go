package domains_test

import (
	"database/sql"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"app238.com/inner/app/database"
	"app238.com/inner/test/testdatabase"
)

// serveUntilStopped serves two rows and stops the replica. Then Outer overwrites the status of the first one.
func (b *bundle) serveUntilStopped() (overwritten, other row) {
	b.t.Helper()
	_, stop := b.start()
	overwritten, other = b.serve("overwritten"), b.serve("other")
	stop()
	b.exec(`UPDATE custom_domains SET status = 'error' WHERE cdid = $1`, overwritten.cdid)
	return overwritten, other
}

// hold executes a statement in a transaction that stays open, as one of Outer, until it or the test ends.
func (b *bundle) hold(statement string) *sql.Tx {
	b.t.Helper()
	plain, err := database.Open(b.config)
	require.NoError(b.t, err)
	tx, err := plain.BeginTx(b.t.Context(), nil)
	require.NoError(b.t, err)
	b.t.Cleanup(func() { require.NoError(b.t, plain.Close()) })
	b.t.Cleanup(func() { _ = tx.Rollback() })
	_, err = tx.ExecContext(b.t.Context(), `SET idle_in_transaction_session_timeout = 0; `+statement)
	require.NoError(b.t, err)
	return tx
}

func TestLockedRowDelaysItsOwnStatusOnly(t *testing.T) {
	t.Parallel()
	testdatabase.PostgreSQLOnly(t, "reads that do not wait for locked rows")
	b := setup(t)
	locked, deleted := b.serveUntilStopped()
	b.exec(`UPDATE inner_domain_checks SET next_check_at = LOCALTIMESTAMP, checked_at = LOCALTIMESTAMP - INTERVAL '1 hour'`)
	checked := b.domain(locked).CheckedAt
	tx := b.hold(`UPDATE custom_domains SET status = 'error' WHERE cdid = '` + locked.cdid + `'`)
	b.start()
	b.exec(`DELETE FROM custom_domains WHERE cdid = $1`, deleted.cdid)
	b.awaitUnserved(deleted)
	b.serve("new")
	b.await("the locked row is checked", func() error {
		if now := b.domain(locked).CheckedAt; !now.After(*checked) {
			return errors.New("not yet")
		}
		return nil
	})
	b.awaitState(locked, "verified", "error")
	require.NoError(t, tx.Commit())
	b.awaitState(locked, "verified", "success")
}

func TestFailedStatusDelaysNoRemoval(t *testing.T) {
	t.Parallel()
	testdatabase.PostgreSQLOnly(t, "LOCK TABLE")
	b := setup(t)
	_, deleted := b.serveUntilStopped()
	b.exec(`DELETE FROM custom_domains WHERE cdid = $1`, deleted.cdid)
	b.hold(`LOCK TABLE custom_domains IN SHARE MODE`)
	b.start()
	b.awaitUnserved(deleted)
}

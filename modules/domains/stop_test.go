package domains_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"app238.com/inner/test/dnsserver"
	"app238.com/inner/test/testdatabase"
)

// claims returns how many claims were made and how many are held.
func (b *bundle) claims() (all, held int) {
	b.t.Helper()
	require.NoError(b.t, b.db.QueryRowContext(context.Background(),
		`SELECT COALESCE(sum(claim_number), 0), count(lease_until) FROM inner_domain_checks`).Scan(&all, &held))
	return all, held
}

func TestStopDoesNotClaimAgain(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.config.Domains.Checks = 8
	b.insertMany(500, constant("u1"), constant("example.test"))
	b.user.Play("", dnsserver.Play{Silent: true})
	r := b.replica()
	require.NoError(t, r.Start(t.Context()))
	b.await("checks are in progress", func() error {
		if all, held := b.claims(); held == 0 {
			return fmt.Errorf("%d claims", all)
		}
		return nil
	})
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	before, _ := b.claims()
	ended := make(chan error, 1)
	go func() { ended <- r.Stop(ctx) }()
	select {
	case err := <-ended:
		require.NoError(t, err)
	case <-time.After(10 * time.Second):
		after, _ := b.claims()
		require.FailNow(t, "Stop does not return", "%d claims before, %d after", before, after)
	}
	after, held := b.claims()
	require.LessOrEqual(t, after, before+3*b.config.Domains.Checks)
	require.Zero(t, held)
}

func TestStopEndsWithItsContextWhileTheDatabaseHangs(t *testing.T) {
	t.Parallel()
	b := setup(t)
	testdatabase.PostgreSQLOnly(t, "pg_stat_activity")
	b.insertMany(1, constant("u1"), constant("example.test"))
	r := b.replica()
	require.NoError(t, r.scanner.ScanAll(t.Context()))
	tx, err := b.db.BeginTx(t.Context(), nil)
	require.NoError(t, err)
	defer func() { require.NoError(t, tx.Rollback()) }()
	_, err = tx.ExecContext(t.Context(), `SELECT cdid FROM inner_domain_checks FOR UPDATE`)
	require.NoError(t, err)
	require.NoError(t, r.Start(t.Context()))
	b.await("a claim waits for the row", func() error {
		var waiting int
		if err := b.db.QueryRowContext(t.Context(), `SELECT count(*) FROM pg_stat_activity
			WHERE datname = current_database() AND wait_event_type = 'Lock'`).Scan(&waiting); err != nil || waiting == 0 {
			return fmt.Errorf("%d wait: %w", waiting, err)
		}
		return nil
	})
	ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
	defer cancel()
	begin := time.Now()
	require.ErrorIs(t, r.Stop(ctx), context.DeadlineExceeded)
	require.Less(t, time.Since(begin), 5*time.Second)
}

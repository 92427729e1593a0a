package domains_test

import (
	"context"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"app238.com/inner/app/database"
	"app238.com/inner/modules/domains/internal/check"
	"app238.com/inner/modules/domains/internal/resolve"
	"app238.com/inner/modules/domains/internal/store"
	"app238.com/inner/test/testdatabase"
)

// panickingQuerier panics, and cancels the test's context after too many queries.
type panickingQuerier struct {
	queries atomic.Int64
	limit   int64
	cancel  context.CancelFunc
}

// Query implements resolve.Querier.
func (p *panickingQuerier) Query(context.Context, resolve.Question) (resolve.Reply, error) {
	if p.queries.Add(1) == p.limit {
		p.cancel()
	}
	panic("test")
}

func TestPanickingCheckIsNotClaimedAgainAtOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	// One at a time: the second domain is claimed after the first check.
	b.config.Domains.Checks = 1
	b.insert(b.row("www"))
	b.insert(b.row("blog"))
	p := b.replica()
	require.NoError(t, p.scanner.ScanAll(t.Context()))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	querier := &panickingQuerier{limit: 20, cancel: cancel}
	checker := check.New(b.config, b.log, p.metrics, p.store, resolve.NewVerifier(b.config, querier))
	_, err := checker.CheckDue(ctx)
	require.NoError(t, err)
	require.EqualValues(t, 2, querier.queries.Load())
	require.Len(t, b.logs.FilterMessage("check of custom domain failed").All(), 2)
}

func TestRetriedReadReturnsNoRowTwice(t *testing.T) {
	t.Parallel()
	testdatabase.PostgreSQLOnly(t, "a function in PL/pgSQL")
	b := setup(t)
	for _, host := range []string{"a", "b", "c"} {
		b.insert(b.row(host))
	}
	require.NoError(t, b.replica().scanner.ScanAll(t.Context()))
	plain, err := database.Open(b.config)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, plain.Close()) })
	plain.SetMaxOpenConns(1)
	for _, statement := range []string{
		// PostgreSQL must send the rows in the order of the index while it finds them.
		`SET enable_seqscan = off`, `SET enable_bitmapscan = off`, `SET enable_sort = off`,
		`CREATE SEQUENCE asked`,
		`CREATE FUNCTION third(TEXT) RETURNS BOOLEAN LANGUAGE plpgsql AS 'BEGIN IF nextval(''asked'') = 3 THEN
			RAISE EXCEPTION ''of the test'' USING ERRCODE = ''40001''; END IF; RETURN true; END'`,
		`ALTER TABLE inner_domain_checks RENAME TO real_checks`,
		`CREATE VIEW inner_domain_checks AS SELECT * FROM real_checks WHERE third(cdid)`,
	} {
		_, err := plain.ExecContext(t.Context(), statement)
		require.NoError(t, err)
	}
	page, err := store.New(plain, b.config).Page(t.Context(), "", 10)
	require.NoError(t, err)
	require.Len(t, page, 3)
	var asked int
	require.NoError(t, plain.QueryRowContext(t.Context(), `SELECT last_value FROM asked`).Scan(&asked))
	require.Equal(t, 6, asked, "the read started over after two rows")
}

package domains_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"app238.com/inner/modules/domains/internal/store"
)

func TestOverwrittenStatusIsRestoredWithinTwoSeconds(t *testing.T) {
	t.Parallel()
	b := setup(t)
	// Neither scan nor resync restores it.
	b.config.Domains.ResyncInterval, b.config.Domains.ScanInterval = time.Hour, 3*time.Second
	_, stop := b.start()
	r := b.serve("www")
	overwritten := func() {
		b.exec(`UPDATE custom_domains SET status = 'error'`)
		begin := time.Now()
		b.awaitState(r, "verified", "success")
		require.Less(t, time.Since(begin), 2*time.Second)
	}
	overwritten()
	overwritten()
	stop()
	b.start()
	overwritten()
}

func TestRecentDomainsAreLoadedByTurnsOfUsers(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.insertMany(50, constant("u9"), constant("bulk.test"))
	other := b.row("www")
	other.user = "other"
	b.insert(other)
	r := b.replica()
	require.NoError(t, r.scanner.ScanAll(t.Context()))
	b.exec(`UPDATE inner_domain_checks SET verified = true`)
	found, err := r.store.RecentlyVerified(t.Context(), time.Minute, 10)
	require.NoError(t, err)
	require.Len(t, found, 10)
	require.Contains(t, found, store.Candidate{CDID: other.cdid, UserUID: other.user, Host: other.domain})
}

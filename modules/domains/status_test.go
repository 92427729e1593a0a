package domains_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"app238.com/inner/modules/domains/internal/store"
)

func TestAnErrorWrittenOverAVerifiedDomainIsGoneWithinTwoSeconds(t *testing.T) {
	t.Parallel()
	b := setup(t)
	// The comparison of all rows is for what others miss.
	b.config.Domains.PassInterval, b.config.Domains.LookInterval = time.Hour, 3*time.Second
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

func TestOneUsersRecentDomainsAreLoadedByTurns(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.insertMany(50, constant("u9"), constant("batch.test"))
	honest := b.row("www")
	honest.user = "honest"
	b.insert(honest)
	r := b.replica()
	require.NoError(t, r.pass.Run(t.Context()))
	b.exec(`UPDATE inner_domain_checks SET verified = true`)
	found, err := r.store.Recent(t.Context(), time.Minute, 10)
	require.NoError(t, err)
	require.Len(t, found, 10)
	require.Contains(t, found, store.Waiting{CDID: honest.cdid, UserUID: honest.user, Host: honest.domain})
}

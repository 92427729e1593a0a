package domains_test

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// serveOf has a row of a user verified and served.
func (b *bundle) serveOf(user, host string) row {
	b.t.Helper()
	r := b.row(host)
	r.user = user
	b.prove(r)
	b.insert(r)
	b.awaitState(r, "verified", "success")
	b.awaitServed(r)
	return r
}

func TestOneUsersDeletionsKeepNobodyElses(t *testing.T) {
	t.Parallel()
	for name, junk := range map[string]string{"of what was never verified": `revision = 1`, "of what was verified": `revision = 2`} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			b.config.Domains.RemovalNumber, b.config.Domains.RemovalShare, b.config.Domains.RemovalGrace = 3, 0.5, time.Hour
			b.start()
			r, others := b.serveOf("u1", "one"), []row{b.serveOf("u2", "two"), b.serveOf("u3", "three")}
			b.insertMany(20, constant("u9"), constant("junk.test"))
			b.awaitKnown(23)
			b.exec(`UPDATE inner_domain_checks SET ` + junk + ` WHERE user_uid = 'u9'`)
			b.exec(`DELETE FROM custom_domains WHERE user_uid IN ('u1', 'u9')`)
			b.awaitUnserved(r)
			b.awaitKnown(2)
			for _, other := range others {
				b.awaitServed(other)
			}
		})
	}
}

func TestATableThatLostTheRowsOfAllUsersTakesNothingAway(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.config.Domains.RemovalNumber, b.config.Domains.RemovalShare, b.config.Domains.RemovalGrace = 3, 0.5, time.Hour
	b.start()
	all := []row{b.serveOf("u1", "one"), b.serveOf("u2", "two"), b.serveOf("u2", "three"), b.serveOf("u3", "four")}
	b.insertMany(5, constant("u4"), constant("junk.test"))
	b.awaitKnown(9)
	b.exec(`DELETE FROM custom_domains`)
	b.awaitKnown(4)
	b.awaitNoticed()
	for _, r := range all {
		b.awaitServed(r)
	}
	var gone int
	require.NoError(t, b.db.QueryRowContext(t.Context(), `SELECT count(*) FROM inner_domain_checks WHERE gone`).Scan(&gone))
	require.Zero(t, gone)
}

func TestObjectsOfADomainAreRemovedBeforeAllOfAnotherUsers(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.config.Domains.Workers = 1
	b.start()
	r := b.row("www")
	r.cdid, r.user = "zzzzzzzz", "honest" // the last one in their order
	b.prove(r)
	b.insert(r)
	b.awaitServed(r)
	b.insertMany(500, constant("u9"), constant("batch.test"))
	b.awaitKnown(501)
	b.exec(`DELETE FROM custom_domains`)
	b.awaitUnserved(r)
	var known int
	require.NoError(t, b.db.QueryRowContext(t.Context(), `SELECT count(*) FROM inner_domain_checks`).Scan(&known))
	require.Greater(t, known, 200)
}

// awaitNoticed waits until a table that lost its rows was found so more than once.
func (b *bundle) awaitNoticed() {
	b.t.Helper()
	b.await("it is noticed", func() error {
		if b.logs.FilterMessageSnippet("vanished at once").Len() < 3 {
			return errors.New("not yet")
		}
		return nil
	})
}

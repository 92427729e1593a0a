package domains_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"app238.com/inner/app/database"
	"app238.com/inner/test/dnsserver"
)

// insertMany inserts n rows, each of a user and of a host under a zone.
func (b *bundle) insertMany(n int, user, zone func(i int) string) {
	b.t.Helper()
	var users, domains []string
	for i := range n {
		users, domains = append(users, user(i)), append(domains, fmt.Sprintf("www%d.%s", i, zone(i)))
	}
	b.exec(`INSERT INTO custom_domains (cdid, user_uid, domain, target, txt_name, txt_value)
		SELECT 'm' || lpad(u.i::TEXT, 7, '0'), u.user_uid, u.domain, $3, '_combinator-verify.' || u.domain,
			'combinator-verify=f' || lpad(u.i::TEXT, 31, '0')
		FROM unnest($1::TEXT[], $2::TEXT[]) WITH ORDINALITY AS u(user_uid, domain, i)`,
		database.Array(users), database.Array(domains), target)
}

// startSilentServer starts a name server for these zones that never answers.
func (b *bundle) startSilentServer(n int, zone func(i int) string) *dnsserver.Server {
	b.t.Helper()
	silent, err := b.net.Server()
	require.NoError(b.t, err)
	silent.Play("", dnsserver.Play{Silent: true})
	for i := range n {
		require.NoError(b.t, b.net.Root.Delegate(zone(i)+".", silent))
	}
	return silent
}

func constant(text string) func(int) string { return func(int) string { return text } }

func numbered(format string) func(int) string {
	return func(i int) string { return fmt.Sprintf(format, i) }
}

// awaitOtherUser inserts a valid domain of another user, which must be verified in time.
func (b *bundle) awaitOtherUser(host string) {
	b.t.Helper()
	r := b.row(host)
	r.user = "other"
	b.addRecords(r)
	begin := time.Now()
	b.insert(r)
	b.awaitState(r, "verified", "success")
	require.Less(b.t, time.Since(begin), 5*time.Second)
}

func TestSilentNameServersDelayNoOtherUser(t *testing.T) {
	t.Parallel()
	for name, each := range map[string]struct {
		zones      int
		user, zone func(int) string
	}{
		"of one user":              {3000, constant("u9"), numbered("silent%d.test")},
		"of one registered domain": {1, numbered("u9-%d"), constant("silent.test")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			b.config.Domains.DNS.Timeout = 2 * time.Second
			silent := b.startSilentServer(each.zones, each.zone)
			b.insertMany(3000, each.user, each.zone)
			r, _ := b.start()
			awaitQueries := func(more int) {
				before := silent.Asked("")
				b.await("silent servers are queried", func() error {
					if got := silent.Asked(""); got < before+more {
						return fmt.Errorf("%d queries", got)
					}
					return nil
				})
			}
			awaitQueries(20)
			b.awaitOtherUser("fresh")

			// As many domains that are slow.
			b.exec(`UPDATE inner_domain_checks SET unanswered = 5, checked_at = LOCALTIMESTAMP, next_check_at = LOCALTIMESTAMP
				WHERE user_uid <> 'other'`)
			awaitQueries(20)
			b.awaitOtherUser("slow")

			// And a check of all domains at the same time.
			b.exec(`UPDATE inner_domain_checks SET unanswered = 0`)
			ctx, cancel := context.WithCancel(t.Context())
			ended := make(chan error)
			go func() { ended <- b.execute(ctx, r) }()
			awaitQueries(20)
			b.awaitOtherUser("check")
			cancel()
			require.ErrorIs(t, <-ended, context.Canceled)
		})
	}
}

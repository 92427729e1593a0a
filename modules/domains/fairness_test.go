package domains_test

import (
	"context"
	"fmt"
	"strings"
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
		parent := b.net.Root
		if strings.HasSuffix(zone(i), ".example.test") {
			parent = b.user
		}
		require.NoError(b.t, parent.Delegate(zone(i)+".", silent))
	}
	return silent
}

func constant(text string) func(int) string { return func(int) string { return text } }

func numbered(format string) func(int) string {
	return func(i int) string { return fmt.Sprintf(format, i) }
}

// awaitOtherUser inserts a valid domain of another user, which must be verified before a fraction of the domains is checked whose
// server is silent.
func (b *bundle) awaitOtherUser(host string, silent *dnsserver.Server) {
	b.t.Helper()
	before := silent.QueryCount("")
	r := b.row(host)
	r.user = "other"
	b.addRecords(r)
	b.insert(r)
	b.awaitState(r, "verified", "success")
	require.Less(b.t, silent.QueryCount("")-before, 200)
}

func TestSilentNameServersDelayNoOtherUser(t *testing.T) {
	t.Parallel()
	for name, each := range map[string]struct {
		zones      int
		user, zone func(int) string
	}{
		"of one user":              {3000, constant("u9"), numbered("silent%d.test")},
		"of one registered domain": {1, numbered("u9-%d"), constant("silent.test")},
		"of one user in another's": {1, constant("u9"), constant("dead.example.test")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			b.config.Domains.DNS.Timeout = 2 * time.Second
			silent := b.startSilentServer(each.zones, each.zone)
			b.insertMany(3000, each.user, each.zone)
			r, _ := b.start()
			awaitQueries := func(more int) {
				before := silent.QueryCount("")
				b.await("silent servers are queried", func() error {
					if got := silent.QueryCount(""); got < before+more {
						return fmt.Errorf("%d queries", got)
					}
					return nil
				})
			}
			awaitQueries(20)
			b.awaitOtherUser("fresh", silent)

			// As many domains that are slow.
			b.exec(`UPDATE inner_domain_checks SET unanswered = 5, checked_at = LOCALTIMESTAMP, next_check_at = LOCALTIMESTAMP
				WHERE user_uid <> 'other'`)
			awaitQueries(4) // one at a time if one user has half of a registered domain's slots
			b.awaitOtherUser("slow", silent)

			// And a check of all domains at the same time.
			b.exec(`UPDATE inner_domain_checks SET unanswered = 0`)
			ctx, cancel := context.WithCancel(t.Context())
			ended := make(chan error)
			go func() { ended <- b.execute(ctx, r) }()
			awaitQueries(20)
			b.awaitOtherUser("check", silent)
			cancel()
			require.ErrorIs(t, <-ended, context.Canceled)
		})
	}
}

// bulkRows is how many rows a user inserts at once.
const bulkRows = 6000

// addedBefore returns how many rows of other users were added before a row.
func (b *bundle) addedBefore(r row) (n int) {
	b.t.Helper()
	require.NoError(b.t, b.db.QueryRowContext(b.t.Context(), `SELECT count(*) FROM inner_domain_checks AS m, inner_domain_checks AS r
		WHERE r.cdid = $1 AND m.user_uid <> r.user_uid AND m.begun_at <= r.begun_at`, r.cdid).Scan(&n))
	return n
}

func TestRowIsAddedBeforeTheRestOfAnotherUsersBulk(t *testing.T) {
	t.Parallel()
	for name, scan := range map[string]func(context.Context, *replica) error{
		"new rows": func(ctx context.Context, r *replica) error {
			_, err := r.scanner.ScanNew(ctx)
			return err
		},
		"all rows": func(ctx context.Context, r *replica) error { return r.scanner.ScanAll(ctx) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			b.insertMany(bulkRows, constant("u9"), constant("bulk.test"))
			other := b.row("www")
			other.user = "other"
			b.insert(other)
			require.NoError(t, scan(t.Context(), b.replica()))
			b.awaitKnown(bulkRows + 1)
			require.Less(t, b.addedBefore(other), bulkRows/4)
		})
	}
}

func TestNewRowIsCheckedWhileOthersAreAdded(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.config.Domains.ScanInterval, b.config.Domains.ResyncInterval = 50*time.Millisecond, time.Hour
	b.start()
	b.insertMany(bulkRows, constant("u9"), constant("bulk.test"))
	r := b.row("www")
	r.user = "other"
	b.addRecords(r)
	b.insert(r)
	b.awaitState(r, "verified", "success")
	var known int
	require.NoError(t, b.db.QueryRowContext(t.Context(), `SELECT count(*) FROM inner_domain_checks`).Scan(&known))
	require.Less(t, known, bulkRows)
}

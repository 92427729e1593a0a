package domains_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/miekg/dns"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"app238.com/inner/modules/domains/admin"
	"app238.com/inner/modules/domains/internal/jobs"
	"app238.com/inner/modules/domains/internal/lifecycle"
	"app238.com/inner/modules/domains/internal/store"
	"app238.com/inner/modules/tasks/job"
	"app238.com/inner/test/dnsserver"
)

// execute runs domain.check as the queue does.
func (b *bundle) execute(ctx context.Context, r *replica) error {
	b.t.Helper()
	prepared, err := jobs.NewCheck(b.config, zap.NewNop(), r.checker, r.scanner).Prepare([]byte(`{}`))
	require.NoError(b.t, err)
	require.Equal(b.t, "domain.check", prepared.OrderingKey)
	return prepared.Execute(ctx, job.Task{ID: 1, Type: jobs.CheckType, Attempt: 1})
}

// setCheck changes the checks of a row.
func (b *bundle) setCheck(r row, assignments string) {
	b.t.Helper()
	b.exec(`UPDATE inner_domain_checks SET `+assignments+` WHERE cdid = $1`, r.cdid)
}

func TestDomainCheckChecksRowsOfEveryStatus(t *testing.T) {
	t.Parallel()
	b := setup(t)
	r := b.replica()
	b.config.Domains.Checks = 2
	fresh, invalid, failing := b.row("fresh"), b.row("invalid"), b.row("failing")
	withdrawn, refused := b.row("withdrawn"), b.row("refused")
	refused.target = "evil.test"
	for _, each := range []row{invalid, failing, withdrawn, refused} {
		b.insert(each)
	}
	b.addRecords(failing)
	b.addRecords(withdrawn)
	require.NoError(t, b.execute(t.Context(), r))
	for _, each := range []row{invalid, failing, withdrawn, refused} {
		b.setCheck(each, `next_check_at = LOCALTIMESTAMP + INTERVAL '1 day'`)
	}
	b.exec(`UPDATE custom_domains SET status = 'error' WHERE cdid = $1`, withdrawn.cdid)
	b.setCheck(withdrawn, `verified = false, wished_status = 'error'`)
	b.removeRecords(failing)
	b.insert(fresh)
	b.addRecords(fresh)
	require.NoError(t, b.execute(t.Context(), r))
	for want, each := range map[string]row{
		"verified: success": fresh, "pending: pending": invalid, "failing: success": failing, "refused: error": refused,
	} {
		d := b.domain(each)
		require.Equal(t, want, d.State+": "+d.Status, each.domain)
	}
	require.Equal(t, "verified success", b.domain(withdrawn).State+" "+b.domain(withdrawn).Status, "error is not final")
	require.EqualValues(t, 1, b.domain(invalid).Checks, "an unscheduled check keeps the schedule")
}

func TestCancelledDomainCheckReleasesItsClaims(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.config.Domains.Checks = 8
	b.config.Domains.DNS.Timeout = 20 * time.Second
	r := b.replica()
	for i := range 40 {
		each := b.insert(b.row(fmt.Sprintf("www%d", i)))
		b.addRecords(each)
		if i%10 == 9 {
			b.user.Play("_combinator-verify."+each.domain+".", dnsserver.Play{Delay: 2 * time.Second})
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- b.execute(ctx, r) }()
	verified := func(want int) func() error {
		return func() error {
			page, err := r.admin.List(t.Context(), admin.Filter{State: "verified", Limit: 100})
			if err != nil || len(page.Domains) < want {
				return fmt.Errorf("%d verified: %w", len(page.Domains), err)
			}
			return nil
		}
	}
	b.await("some are checked", verified(5))
	cancel()
	require.Error(t, <-ended)
	require.Error(t, verified(40)())
	var leased int
	query := `SELECT count(*) FROM inner_domain_checks WHERE lease_until IS NOT NULL`
	require.NoError(t, b.db.QueryRowContext(t.Context(), query).Scan(&leased))
	require.Zero(t, leased)
	b.user.Behave()
	require.NoError(t, b.execute(t.Context(), b.replica()))
	require.NoError(t, verified(40)())
}

func TestExpiredClaimIsVoid(t *testing.T) {
	t.Parallel()
	b := setup(t)
	r := b.insert(b.row("www"))
	p := b.replica()
	require.NoError(t, p.scanner.ScanAll(t.Context()))
	first, err := p.store.ClaimDue(t.Context(), time.Hour, []string{r.cdid})
	require.NoError(t, err)
	require.Len(t, first, 1)
	none, err := p.store.ClaimDue(t.Context(), time.Hour, []string{r.cdid})
	require.NoError(t, err)
	require.Empty(t, none)
	b.setCheck(r, `lease_until = LOCALTIMESTAMP - INTERVAL '1 second'`)
	second, err := p.store.ClaimDue(t.Context(), time.Hour, []string{r.cdid})
	require.NoError(t, err)
	require.Len(t, second, 1)

	valid := func(c store.Claimed) store.Checked {
		after := lifecycle.NewPolicy(b.config).Next(c.State, lifecycle.Outcome{Kind: lifecycle.Valid}, c.Now)
		return store.Checked{Claimed: c, After: after}
	}
	require.NoError(t, p.store.Write(t.Context(), []store.Checked{valid(first[0])}))
	require.Equal(t, "pending", b.domain(r).State, "a void claim changes nothing")
	require.NoError(t, p.store.Write(t.Context(), []store.Checked{valid(second[0])}))
	require.Equal(t, "verified", b.domain(r).State)
}

func TestRowChangedDuringItsCheckKeepsItsStatus(t *testing.T) {
	t.Parallel()
	b := setup(t)
	r := b.insert(b.row("www"))
	p := b.replica()
	require.NoError(t, p.scanner.ScanAll(t.Context()))
	claimed, err := p.store.ClaimDue(t.Context(), time.Hour, []string{r.cdid})
	require.NoError(t, err)
	b.exec(`UPDATE custom_domains SET user_uid = 'u2'`)
	after := lifecycle.NewPolicy(b.config).Next(claimed[0].State, lifecycle.Outcome{Kind: lifecycle.Valid}, claimed[0].Now)
	require.NoError(t, p.store.Write(t.Context(), []store.Checked{{Claimed: claimed[0], After: after}}))
	require.Equal(t, "pending", b.domain(r).Status)
	require.NoError(t, p.scanner.ScanAll(t.Context()))
	require.Equal(t, "removing", b.domain(r).State)
}

func TestAdminCheckReturnsTheResult(t *testing.T) {
	t.Parallel()
	b := setup(t)
	p := b.replica()
	r := b.insert(b.row("www"))
	d, err := p.admin.Check(t.Context(), r.domain)
	require.NoError(t, err)
	require.Equal(t, "wrong", d.Answer)
	b.addRecords(r)
	for _, name := range []string{"WWW.Example.test.", r.cdid, r.domain} {
		d, err = p.admin.Check(t.Context(), name)
		require.NoError(t, err)
		require.Equal(t, "right success", d.Answer+" "+d.Status)
	}
	b.user.Play("", dnsserver.Play{Rcode: dns.RcodeServerFailure})
	d, err = p.admin.Check(t.Context(), r.cdid)
	require.NoError(t, err)
	require.Equal(t, "unknown success", d.Answer+" "+d.Status)
	_, err = p.store.Claim(t.Context(), time.Hour, []string{r.cdid})
	require.NoError(t, err)
	_, err = p.admin.Check(t.Context(), r.cdid)
	require.ErrorContains(t, err, "is being checked")
	_, err = p.admin.Check(t.Context(), "nobody.test")
	require.ErrorIs(t, err, store.ErrNotFound)
}

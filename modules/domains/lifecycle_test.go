package domains_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"app238.com/inner/modules/domains/internal/metrics"
	"app238.com/inner/modules/domains/internal/objects"
	"app238.com/inner/test/dnsserver"
)

func TestNewRowIsVerifiedAndServed(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.start()
	r := b.insert(b.row("www"))
	b.await("it was checked", func() error {
		if b.domain(r).CheckedAt == nil {
			return errors.New("not yet")
		}
		return nil
	})
	b.awaitState(r, "pending", "pending")
	require.Equal(t, "the TXT record _combinator-verify.www.example.test: no such name", b.domain(r).Detail)
	require.Nil(t, b.live(objects.Routes(), r))
	b.exec(`UPDATE custom_domains SET status = 'error'`)
	b.addRecords(r)
	b.exec(`UPDATE inner_domain_checks SET next_check_at = LOCALTIMESTAMP`)
	b.awaitState(r, "verified", "success")
	b.awaitServed(r)
	require.Equal(t, "u1", b.live(objects.Services(), r).GetLabels()["user-uid"])
	b.exec(`UPDATE custom_domains SET status = 'error'`)
	b.awaitState(r, "verified", "success")
}

func TestCertificateReadinessDoesNotChangeTheStatus(t *testing.T) {
	t.Parallel()
	b := setup(t)
	p, _ := b.start()
	registry := prometheus.NewRegistry()
	_, err := metrics.NewCollector(registry, p.store)
	require.NoError(t, err)
	r := b.serve("www")
	awaitCertificate := func(want string) {
		b.await("certificate is "+want, func() error {
			if got := b.domain(r).Certificate; got != want {
				return errors.New(got)
			}
			return nil
		})
	}
	awaitCertificate("not issued yet")
	for status, want := range map[string]string{"False": "not ready: no account", "True": "ready"} {
		condition := fmt.Sprintf(`{"type": "Ready", "status": %q, "message": "no account", "reason": "x"}`, status)
		patch := []byte(`{"status": {"conditions": [` + condition + `]}}`)
		name := objects.Name(r.cdid)
		_, err := b.clients.MergePatch(t.Context(), objects.Certificates().Resource, b.namespace(), name, patch, "status")
		require.NoError(t, err)
		awaitCertificate(want)
		require.Equal(t, "success", b.domain(r).Status)
		ready, other := 0, 1
		if want == objects.Ready {
			ready, other = 1, 0
		}
		require.NoError(t, testutil.GatherAndCompare(registry, strings.NewReader(fmt.Sprintf(`
# HELP inner_domain_certificates Custom domains that are served, by whether their certificate is ready.
# TYPE inner_domain_certificates gauge
inner_domain_certificates{ready="no"} %d
inner_domain_certificates{ready="yes"} %d
`, other, ready)), "inner_domain_certificates"))
	}
}

func TestOnlyLastingFailuresWithdrawADomain(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.config.Domains.WithdrawFailures, b.config.Domains.WithdrawAfter = 4, 500*time.Millisecond
	b.config.Domains.RetryInterval, b.config.Domains.DNS.Timeout = 50*time.Millisecond, 500*time.Millisecond
	b.start()
	r := b.serve("www")
	due := func() { b.exec(`UPDATE inner_domain_checks SET next_check_at = LOCALTIMESTAMP`) }

	for _, p := range []dnsserver.Play{{Rcode: dns.RcodeServerFailure}, {Silent: true}, {Rcode: dns.RcodeRefused}} {
		b.user.Play("", p)
		before := b.user.QueryCount("")
		due()
		b.await("several checks were unreachable", func() error {
			if d := b.domain(r); b.user.QueryCount("") < before+6 || d.Answer != "unknown" {
				return fmt.Errorf("%+v", d)
			}
			return nil
		})
		require.Equal(t, "verified", b.domain(r).State)
		require.Zero(t, b.domain(r).Failures)
	}
	b.user.Behave()
	b.removeRecords(r)
	due()
	b.await("a failure", func() error {
		if b.domain(r).Failures == 0 {
			return errors.New("none")
		}
		return nil
	})
	b.awaitState(r, "error", "error")
	b.awaitUnserved(r)
	b.await("the certificate's readiness is cleared", func() error {
		if of := b.domain(r).Certificate; of != "" {
			return errors.New(of)
		}
		return nil
	})

	b.addRecords(r)
	due()
	b.awaitState(r, "verified", "success")
	b.awaitServed(r)
}

func TestOneFailureWithdrawsNothing(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.start()
	r := b.serve("www")
	b.removeRecords(r)
	b.exec(`UPDATE inner_domain_checks SET next_check_at = LOCALTIMESTAMP`)
	b.awaitState(r, "failing", "success")
	require.NotNil(t, b.live(objects.Routes(), r))
	b.addRecords(r)
	b.exec(`UPDATE inner_domain_checks SET next_check_at = LOCALTIMESTAMP`)
	b.awaitState(r, "verified", "success")
}

func TestDeletedRowRemovesObjectsAndCertificate(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.start()
	r, other := b.serve("www"), b.serve("other")
	b.certificateSecret(r)
	b.certificateSecret(other)
	b.exec(`DELETE FROM custom_domains WHERE cdid = $1`, r.cdid)
	b.awaitUnserved(r)
	b.await("the Secret is deleted", func() error {
		_, err := b.clients.Typed.CoreV1().Secrets(b.namespace()).Get(t.Context(), objects.SecretName(r.cdid), metav1.GetOptions{})
		if !apierrors.IsNotFound(err) {
			return fmt.Errorf("it exists: %w", err)
		}
		return nil
	})
	b.awaitKnown(1)
	b.awaitServed(other)
	_, err := b.clients.Typed.CoreV1().Secrets(b.namespace()).Get(t.Context(), objects.SecretName(other.cdid), metav1.GetOptions{})
	require.NoError(t, err)
}

// certificateSecret creates the Secret that cert-manager would create.
func (b *bundle) certificateSecret(r row) {
	b.t.Helper()
	_, err := b.clients.Typed.CoreV1().Secrets(b.namespace()).Create(b.t.Context(),
		&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: objects.SecretName(r.cdid)}}, metav1.CreateOptions{})
	require.NoError(b.t, err)
}

func TestRowOfAnotherUserNeedsANewValue(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.start()
	r := b.serve("www")
	b.exec(`UPDATE custom_domains SET user_uid = 'u2'`)
	b.awaitUnserved(r)
	b.awaitState(r, "refused", "error")
	require.Contains(t, b.domain(r).Detail, "was given to another user")

	r.user, r.value = "u2", "combinator-verify=ffffffffffffffffffffffffffffffff"
	b.exec(`UPDATE custom_domains SET txt_value = $1, status = 'pending'`, r.value)
	b.awaitState(r, "pending", "pending")
	require.Nil(t, b.live(objects.Routes(), r), "the old record does not verify the new user")
	b.removeRecords(r)
	b.addRecords(r)
	b.exec(`UPDATE inner_domain_checks SET next_check_at = LOCALTIMESTAMP`)
	b.awaitState(r, "verified", "success")
	b.awaitServed(r)
	require.Equal(t, "u2", b.live(objects.Routes(), r).GetLabels()["user-uid"])
}

func TestManyDeletedRowsKeepTheirObjectsForAGrace(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.config.Domains.RemovalMinimum, b.config.Domains.RemovalShare, b.config.Domains.RemovalGrace = 3, 0.5, time.Hour
	b.start()
	var all []row
	for i := range 4 {
		all = append(all, b.serve(fmt.Sprintf("www%d", i)))
	}
	const columns = `id, cdid, user_uid, domain, target, txt_name, txt_value, status, created_at`
	b.exec(`CREATE TABLE kept AS SELECT ` + columns + ` FROM custom_domains`)
	b.exec(`DELETE FROM custom_domains`)
	b.awaitDeletionLogged()
	for _, r := range all {
		b.awaitServed(r)
	}
	b.exec(`INSERT INTO custom_domains (` + columns + `) SELECT ` + columns + ` FROM kept`)
	b.awaitState(all[0], "verified", "success")
	b.exec(`DELETE FROM custom_domains WHERE cdid = $1`, all[0].cdid)
	b.awaitUnserved(all[0])
	b.awaitServed(all[1])

	b.exec(`DELETE FROM custom_domains`)
	b.await("the deletion is recorded", func() error {
		var n int
		query := `SELECT count(*) FROM inner_domain_checks WHERE gone_at IS NOT NULL`
		if err := b.db.QueryRowContext(t.Context(), query).Scan(&n); err != nil || n != 3 {
			return fmt.Errorf("%d: %w", n, err)
		}
		return nil
	})
	b.exec(`UPDATE inner_domain_checks SET gone_at = LOCALTIMESTAMP - INTERVAL '2 hours'`)
	b.awaitUnserved(all[1])
}

func TestDatabaseClockSetBackDelaysNoCheck(t *testing.T) {
	t.Parallel()
	b := setup(t)
	r := b.insert(b.row("www"))
	_, stop := b.start()
	b.await("it is checked once", func() error {
		if b.domain(r).Checks == 0 {
			return errors.New("not yet")
		}
		return nil
	})
	stop()
	// As after the clock was set back by an hour while a process held a claim.
	b.exec(`UPDATE inner_domain_checks SET begun_at = begun_at + INTERVAL '1 hour', checked_at = checked_at + INTERVAL '1 hour',
		next_check_at = next_check_at + INTERVAL '1 hour', lease_until = LOCALTIMESTAMP + INTERVAL '1 hour'`)
	b.addRecords(r)
	b.start()
	b.awaitState(r, "verified", "success")
}

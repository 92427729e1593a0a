package domains_test

import (
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"app238.com/inner/app/kube"
	"app238.com/inner/modules/domains/internal/objects"
	"app238.com/inner/test/testdatabase"
)

// leader is an election that the test decides.
type leader struct {
	leads atomic.Bool
	asked atomic.Int64
}

// CheckLeader implements cluster.Leader.
func (l *leader) CheckLeader() error {
	l.asked.Add(1)
	if l.leads.Load() {
		return nil
	}
	return kube.ErrNotLeading
}

// writes returns how many writes of objects the replica has made.
func (r *replica) writes() int {
	total := 0.0
	for _, kind := range []string{"Service", "Certificate", "IngressRoute", "Secret"} {
		for _, action := range []string{"apply", "delete"} {
			total += testutil.ToFloat64(r.metrics.Writes.WithLabelValues(kind, action))
		}
	}
	return int(total)
}

// startStandby starts a replica that does not lead.
func (b *bundle) startStandby() *replica {
	b.t.Helper()
	r := b.replica()
	r.leader.leads.Store(false)
	b.run(r)
	return r
}

// awaitRounds waits until replicas have asked so often whether they lead that each has had several resyncs.
func (b *bundle) awaitRounds(all ...*replica) {
	b.t.Helper()
	for _, r := range all {
		before := r.leader.asked.Load()
		b.await("a replica has had several resyncs", func() error {
			if n := r.leader.asked.Load() - before; n < 60 {
				return fmt.Errorf("it asked %d times", n)
			}
			return nil
		})
	}
}

// issuer returns the issuer of a domain's certificate.
func (b *bundle) issuer(r row) string {
	b.t.Helper()
	name, _, err := unstructured.NestedString(b.live(objects.Certificates(), r).Object, "spec", "issuerRef", "name")
	require.NoError(b.t, err)
	return name
}

func TestReplicasWithOtherSettingsDoNotOverwriteEachOther(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.config.Domains.Issuer = "a"
	first, _ := b.start()
	r := b.serve("www")
	b.config.Domains.Issuer = "b"
	before := b.versions()
	second := b.startStandby()
	b.awaitRounds(first, second)
	require.Equal(t, before, b.versions())
	require.Equal(t, "a", b.issuer(r))

	first.leader.leads.Store(false)
	second.leader.leads.Store(true)
	b.await("the new leader's issuer is set", func() error {
		if name := b.issuer(r); name != "b" {
			return errors.New(name)
		}
		return nil
	})
	written := first.writes()
	require.Equal(t, "b", b.issuer(b.serve("other")), "whichever replica verified it")
	before = b.versions()
	b.awaitRounds(first, second)
	require.Equal(t, before, b.versions())
	require.Equal(t, written, first.writes())

	second.leader.leads.Store(false)
	first.leader.leads.Store(true)
	b.await("it leads again", func() error {
		if name := b.issuer(r); name != "a" {
			return errors.New(name)
		}
		return nil
	})
}

func TestLeaderReconcilesWhatOthersHaveChanged(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.config.Domains.ResyncInterval = time.Hour
	b.start()
	r := b.insert(b.row("www"))
	b.await("it was checked", func() error {
		if b.domain(r).CheckedAt == nil {
			return errors.New("not yet")
		}
		return nil
	})
	b.addRecords(r)
	other := b.replica() // as a command does
	d, err := other.admin.Check(t.Context(), r.cdid)
	require.NoError(t, err)
	require.Equal(t, "right", d.Answer)
	b.awaitServed(r)
	b.exec(`DELETE FROM custom_domains`)
	require.NoError(t, other.scanner.ScanAll(t.Context()))
	b.awaitUnserved(r)
	require.Zero(t, other.writes())
}

func TestReconcileThatLosesTheLeadershipWritesNothing(t *testing.T) {
	t.Parallel()
	testdatabase.PostgreSQLOnly(t, "pg_stat_activity")
	b := setup(t)
	replica, _ := b.start()
	r := b.serve("www")
	b.awaitApplied(replica, r)
	tx := b.hold(`SELECT cdid FROM inner_domain_checks FOR UPDATE`)
	require.NoError(t, b.clients.Delete(t.Context(), objects.Routes().Resource, b.namespace(), objects.Name(r.cdid), ""))
	b.await("the repair waits for the row", func() error {
		var waiting int
		if err := b.db.QueryRowContext(t.Context(), `SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
			AND wait_event_type = 'Lock' AND query LIKE '%SET applying%'`).Scan(&waiting); err != nil || waiting == 0 {
			return fmt.Errorf("%d wait: %w", waiting, err)
		}
		return nil
	})
	replica.leader.leads.Store(false)
	require.NoError(t, tx.Rollback())
	b.await("the write is refused", func() error {
		if !strings.Contains(b.logText(), kube.ErrNotLeading.Error()) {
			return errors.New("not yet")
		}
		return nil
	})
	b.awaitRounds(replica)
	require.Nil(t, b.live(objects.Routes(), r))
	replica.leader.leads.Store(true)
	b.awaitServed(r)
}

func TestShortLossOfTheLeadLosesNoRepair(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.config.Domains.ResyncInterval, b.config.Domains.ScanInterval = time.Hour, 2*time.Second
	replica, _ := b.start()
	r := b.serve("www")
	asked := replica.leader.asked.Load()
	replica.leader.leads.Store(false)
	require.NoError(t, b.clients.Delete(t.Context(), objects.Routes().Resource, b.namespace(), objects.Name(r.cdid), ""))
	b.await("the event is dropped", func() error {
		if replica.leader.asked.Load() == asked {
			return errors.New("not yet")
		}
		return nil
	})
	replica.leader.leads.Store(true) // mostly before the next scan
	b.awaitServed(r)
}

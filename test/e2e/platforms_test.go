package e2e_test

import (
	"crypto/rand"
	"database/sql"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"app238.com/inner/test/testdatabase"
)

// neighbours returns two platforms that share the ingress namespace and both engines, and have a user of the same uid.
func neighbours(t *testing.T) (one, other *fixture, schemas *sql.DB) {
	t.Helper()
	one, other = newFixture(t), newFixture(t)
	other.namespaces.Ingress = one.namespaces.Ingress
	other.writeConfiguration(t)
	shared, prefix := testdatabase.NewEmpty(t), strings.ToLower(rand.Text()[:8])
	for _, w := range []*fixture{one, other} {
		w.engines(t, shared.Config.Database.DSN.Reveal(), prefix)
		w.configure(t, auditing)
		w.user(t, "u1", "sk_e2e")
	}
	return one, other, shared.DB
}

// requireWhole checks that all that a platform has made is there.
func (w *fixture) requireWhole(t *testing.T, tenants *sql.DB, k worker, rdb string) {
	t.Helper()
	require.True(t, w.running(t, k), k.id)
	_, err := w.clients.Typed.CoreV1().Services(w.namespaces.Ingress).Get(t.Context(), k.name()+"-ext", metav1.GetOptions{})
	require.NoError(t, err)
	require.Equal(t, 1, schemas(t, tenants, "user_u1_"+rdb))
	require.Equal(t, 2, w.count(t, `SELECT count(*) FROM combinator_resources WHERE status = 'active'`))
}

func TestPlatformsDoNotDeleteEachOthersObjects(t *testing.T) {
	t.Parallel()
	a, b, tenants := neighbours(t)
	innerA, innerB := a.startAudited(t), b.startAudited(t)
	workerA, workerB := a.deployed(t, innerA, "a", "kept")[0], b.deployed(t, innerB, "b")[0]
	a.created(t, innerA, "rdb", "ra")
	a.created(t, innerA, "kv", "ka")
	b.created(t, innerB, "rdb", "rb")
	b.created(t, innerB, "kv", "kb")
	a.strayDomain(t, "dthird", "0123456789abcdef")
	copied := a.backUp(t)
	innerA.awaitReady(t)
	for round := range 3 {
		innerA.kill()
		innerB.kill()
		if round == 1 {
			copied.restore(t)
		}
		innerA, innerB = a.start(t), b.start(t)
		for range 2 {
			a.audit(t, innerA)
			b.audit(t, innerB)
		}
		for _, w := range []*fixture{a, b} {
			_, actions := w.dryRun(t)
			require.Empty(t, actions)
		}
	}
	a.requireWhole(t, tenants, workerA, "ra")
	b.requireWhole(t, tenants, workerB, "rb")

	_, err := a.db.ExecContext(t.Context(), `DELETE FROM workers WHERE wid = 'a'`)
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		a.audit(t, innerA)
		return !a.running(t, workerA)
	}, timeout, time.Second, "its own orphan goes")
	b.requireWhole(t, tenants, workerB, "rb")
	_, err = a.clients.Typed.CoreV1().Services(a.namespaces.Ingress).Get(t.Context(), "custom-domain-dthird", metav1.GetOptions{})
	require.NoError(t, err)
}

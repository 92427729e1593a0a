package e2e_test

import (
	"crypto/rand"
	"database/sql"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"app238.com/inner/modules/audit/admin"
	"app238.com/inner/test/testdatabase"
)

// tenants gives the fixture engines of its own: a database for schemas, and a prefix in the TiKV cluster.
func (w *fixture) tenants(t *testing.T) *sql.DB {
	t.Helper()
	db := testdatabase.NewEmpty(t)
	w.engines(t, db.Config.Database.DSN.Reveal(), strings.ToLower(rand.Text()[:8]))
	return db.DB
}

// engines has the fixture's schemas and namespaces made in a database, and under a prefix.
func (w *fixture) engines(t *testing.T, dsn, prefix string) {
	t.Helper()
	pd := os.Getenv("INNER_TEST_PD")
	require.NotEmpty(t, pd, "INNER_TEST_PD is not set: run the tests with make test")
	w.configure(t, fmt.Sprintf(`
combinator:
  rdb: {dsn: %q, roles: none}
  kv: {pd: [%q], prefix: "e%s_{user_uid}_{resource_id}/"}
`, dsn, pd, prefix))
}

// resource inserts the row of a resource of u1 that is an hour old.
func (w *fixture) resource(t *testing.T, kind, id string) {
	t.Helper()
	_, err := w.db.ExecContext(t.Context(), `INSERT INTO combinator_resources (user_uid, resource_type, resource_id, created_at)
		VALUES ('u1', $1, $2, LOCALTIMESTAMP - INTERVAL '1 hour')`, kind, id)
	require.NoError(t, err)
}

// created inserts resources and waits until they are there.
func (w *fixture) created(t *testing.T, i *inner, kind string, ids ...string) {
	t.Helper()
	for _, id := range ids {
		w.resource(t, kind, id)
		i.accept(t, fmt.Sprintf(`{"task_type":"combinator.create_%s","task_info":{"user_uid":"u1","resource_id":%q,"name":"n"}}`, kind,
			id))
	}
	w.awaitActive(t, ids...)
}

func (w *fixture) awaitActive(t *testing.T, ids ...string) {
	t.Helper()
	for _, id := range ids {
		require.Eventually(t, func() bool {
			return w.count(t, `SELECT count(*) FROM combinator_resources WHERE status = 'active' AND resource_id = '`+id+`'`) == 1
		}, timeout, 50*time.Millisecond, "resource %s does not become active", id)
	}
}

// schemas returns the number of schemas of this name.
func schemas(t *testing.T, tenants *sql.DB, name string) (n int) {
	t.Helper()
	require.NoError(t, tenants.QueryRowContext(t.Context(),
		`SELECT count(*) FROM information_schema.schemata WHERE schema_name = $1`, name).Scan(&n))
	return n
}

// strayDomain makes a Service as a custom domain has it, for which there never was a row.
func (w *fixture) strayDomain(t *testing.T, cdid, platform string) {
	t.Helper()
	_, err := w.clients.Typed.CoreV1().Services(w.namespaces.Ingress).Create(t.Context(), &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{
			Name: "custom-domain-" + cdid, Labels: map[string]string{"app": "custom-domain", "user-uid": "u1"},
			Annotations: map[string]string{
				"console.app238.com/cdid": cdid, "console.app238.com/user-uid": "u1", "console.app238.com/platform": platform,
			},
		},
		Spec: corev1.ServiceSpec{Type: corev1.ServiceTypeExternalName, ExternalName: "example.com"},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
}

func TestStuckRowsAreRepairedWithoutAudit(t *testing.T) {
	t.Parallel()
	w := newFixture(t)
	w.configure(t, "\naudit: {minAge: 1s, stuckInterval: 1s}\n")
	w.tenants(t)
	w.user(t, "u1", "sk_e2e")
	w.startAudited(t)
	stuck := w.worker(t, "u1", "stuck", "registry.test/app:1")
	w.resource(t, "rdb", "rstuck")
	w.resource(t, "kv", "kstuck")
	w.awaitState(t, stuck, "active", "success")
	w.awaitActive(t, "rstuck", "kstuck")
	require.Equal(t, 1, w.count(t, `SELECT count(*) FROM console_tasks WHERE task_type = 'auth.user_audit'`))
}

func TestAuditCoversSchemasNamespacesAndDomains(t *testing.T) {
	t.Parallel()
	w := newFixture(t)
	w.configure(t, auditing)
	tenants := w.tenants(t)
	i := w.startAudited(t)
	w.user(t, "u1", "sk_e2e")
	w.created(t, i, "rdb", "rkept", "rlost", "rorphan")
	w.created(t, i, "kv", "kkept", "korphan")
	for _, change := range []string{
		`DROP SCHEMA user_u1_rlost CASCADE`, `CREATE SCHEMA user_u1_foreign`, `CREATE SCHEMA users; CREATE TABLE user_u1_rkept.t (a INT)`,
	} {
		_, err := tenants.ExecContext(t.Context(), change)
		require.NoError(t, err)
	}
	_, err := w.db.ExecContext(t.Context(), `DELETE FROM combinator_resources WHERE resource_id LIKE '%orphan'`)
	require.NoError(t, err)
	w.resource(t, "kv", "kstuck")
	w.resource(t, "rdb", "rstuck")
	w.strayDomain(t, "dorphan", w.platformMark())

	_, actions := w.dryRun(t)
	require.Equal(t, map[string]admin.Action{
		"rlost": admin.Repair, "rstuck": admin.Repair, "kstuck": admin.Repair,
		"rorphan": admin.Wait, "korphan": admin.Wait, "dorphan": admin.Wait,
	}, actions)
	w.audit(t, i)
	w.awaitActive(t, "rkept", "rlost", "rstuck", "kkept", "kstuck")
	require.Eventually(t, func() bool { return schemas(t, tenants, "user_u1_rlost") == 1 }, timeout, 50*time.Millisecond)
	require.Equal(t, 1, schemas(t, tenants, "user_u1_rorphan"), "one audit is not enough")
	require.Eventually(t, func() bool {
		_, actions := w.dryRun(t)
		return len(actions) == 3 && actions["rorphan"] == admin.Delete && actions["korphan"] == admin.Delete &&
			actions["dorphan"] == admin.Delete
	}, timeout, 500*time.Millisecond)

	w.audit(t, i)
	require.Eventually(t, func() bool {
		_, actions := w.dryRun(t)
		return len(actions) == 0
	}, timeout, 500*time.Millisecond, "what was an orphan is gone")
	require.Zero(t, schemas(t, tenants, "user_u1_rorphan"))
	for _, kept := range []string{"user_u1_rkept", "user_u1_rlost", "user_u1_rstuck", "user_u1_foreign", "users"} {
		require.Equal(t, 1, schemas(t, tenants, kept), kept)
	}
	a, _ := w.dryRun(t)
	objects := map[string]int64{}
	for _, k := range a.Kinds {
		objects[k.Kind] = k.Objects
	}
	require.Equal(t, map[string]int64{"worker": 0, "rdb": 3, "kv": 2, "domain": 0}, objects)
}

package platform_test

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	tikvconfig "github.com/tikv/client-go/v2/config"
	"github.com/tikv/client-go/v2/txnkv"

	"app238.com/inner/app/config"
	"app238.com/inner/app/database"
	"app238.com/inner/app/kube"
	"app238.com/inner/test/chaos/faults"
	"app238.com/inner/test/dnsserver"
	"app238.com/inner/test/pods"
	"app238.com/inner/test/proxy"
	"app238.com/inner/test/stack"
	"app238.com/inner/test/stack/controlplane"
	"app238.com/inner/test/stack/pgbouncer"
	"app238.com/inner/test/stack/postgres"
	"app238.com/inner/test/stack/tikv"
	"app238.com/inner/test/testdatabase"
)

const (
	// timeout is how long the platform may take to converge after the last fault.
	timeout      = 5 * time.Minute
	pollInterval = 100 * time.Millisecond
	domain       = "chaos.test"
	// tenantsName is the database of the users' schemas.
	tenantsName = "tenants"
)

// fixture is a platform: its servers, the proxies between Inner and them, and the test's own connections past the proxies.
type fixture struct {
	servers *stack.Stack
	engine  *postgres.Server // of the users' schemas
	names   *dnsserver.Net

	// address leads to the platform's database, also after a failover; pooler, nil for none, leads Inner to the address.
	address              *proxy.Proxy
	pooler               *pgbouncer.Pooler
	toDatabase, toEngine *proxy.Proxy
	toCluster            *proxy.Cluster

	db, tenants *sql.DB
	clients     *kube.Clients
	kv          *txnkv.Client

	folder     string
	configFile string
	seed       uint64
	extent     extent

	mu       sync.Mutex
	notified map[string]bool // resources of whose deletion the Combinator pod was notified
}

func newFixture(t *testing.T, e extent) *fixture {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), timeout)
	defer cancel()
	w := &fixture{folder: t.TempDir(), seed: faults.Seed(t), extent: e, notified: map[string]bool{}}
	var err error
	w.servers, err = stack.Start(ctx, stack.Options{
		ControlPlane: controlplane.Options{CRDs: []string{"../../../configs/crd/workerapps.yaml"}}, TiKV: tikv.Options{TLS: true},
		Postgres: postgres.Options{Clock: w.extent.operates()},
	})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, w.servers.Close()) })
	w.engine, err = postgres.Start(ctx, postgres.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, w.engine.Close()) })
	require.NoError(t, w.servers.Postgres.CreateDatabase(ctx, platformName))
	require.NoError(t, w.engine.CreateDatabase(ctx, tenantsName))
	w.names, err = dnsserver.New()
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, w.names.Close()) })
	w.address = proxy.New(t, w.servers.Postgres.DSN(platformName))
	w.toDatabase = proxy.New(t, w.pool(ctx, t))
	w.toEngine = proxy.New(t, w.engine.DSN(tenantsName))
	w.toCluster = proxy.NewCluster(t, w.servers.ControlPlane.Kubeconfig(), proxy.ClusterOptions{})
	w.connect(t)
	require.NoError(t, database.Migrate(ctx, w.db))
	w.configFile = filepath.Join(w.folder, "inner.yaml")
	require.NoError(t, os.WriteFile(w.configFile, []byte(w.configuration(t, w.combinatorPod(t))), 0o600))
	return w
}

// connect opens the test's own ways to the servers.
func (w *fixture) connect(t *testing.T) {
	t.Helper()
	open := func(dsn string) (*sql.DB, *config.Config) {
		c := testdatabase.Config(t, dsn)
		db, err := database.Open(c)
		require.NoError(t, err)
		t.Cleanup(func() { _ = db.Close() })
		return db, c
	}
	var c *config.Config
	w.tenants, _ = open(w.engine.DSN(tenantsName))
	w.db, c = open(w.address.DSN)
	c.Kubernetes.Kubeconfig = w.servers.ControlPlane.Kubeconfig()
	var err error
	w.clients, err = kube.NewClients(c)
	require.NoError(t, err)
	certificate, key := w.servers.TiKV.Certificate()
	// TiKV's client knows no other way.
	tikvconfig.UpdateGlobal(func(c *tikvconfig.Config) { c.Security = tikvconfig.NewSecurity(certificate, certificate, key, nil) })
	w.kv, err = txnkv.NewClient([]string{w.servers.TiKV.Endpoint()})
	require.NoError(t, err)
	t.Cleanup(func() { _ = w.kv.Close() })
}

// configuration is the replicas'. The waits are shorter than an operator's, their relations the same.
func (w *fixture) configuration(t *testing.T, webhookPort string) string {
	t.Helper()
	certificate, key := w.servers.TiKV.Certificate()
	retention := cmp.Or(w.extent.retention, 24*time.Hour)
	return fmt.Sprintf(`
domain: %s
http: {listen: "127.0.0.1:0", drainTime: 0s, shutdownTimeout: 3s}
database: {dsn: %q, connectTimeout: 2s, statementTimeout: 5s}
kubernetes: {kubeconfig: %q}
tasks: {heartbeatInterval: 500ms, takeoverAfter: 3s, pollInterval: 200ms, retryDelay: 200ms, retryDelayMax: 2s, parkedRecheck: 5s,
  retention: {finished: %s, failed: %s, interval: 5s}}
controller: {failureGrace: 1s}
combinator:
  rdb: {dsn: %q, connectTimeout: 2s, requestTimeout: 10s, measureInterval: %s, names: {database: %q}}
  kv: {pd: [%q], tls: {ca: %q, certificate: %q, key: %q}, requestTimeout: 5s, sweepAfter: 5s, sweepInterval: 5s}
  pods: {webhookPort: %s, webhookTimeout: 1s}
domains: {requireTarget: false, scanInterval: 500ms, resyncInterval: %s, checkInterval: %s, dns: {resolvers: [%q], timeout: 1s}}
audit: {minAge: 5s, interval: %s, shrinkWindow: %s}
`, domain, w.toDatabase.DSN, w.toCluster.Kubeconfig(filepath.Join(w.folder, "kubeconfig")), retention, retention, w.toEngine.DSN, cmp.Or(w.extent.measures, 15*time.Second), w.extent.ownDatabase, w.servers.TiKV.Endpoint(),
		certificate, certificate, key,
		webhookPort, cmp.Or(w.extent.resync, 2*time.Second), w.extent.audits,
		netip.AddrPortFrom(w.names.Root.Addr, uint16(w.names.Port)), w.extent.audits, retention)
}

// combinatorPod makes a Combinator pod with the address of this machine, which records its notices, and returns its port.
func (w *fixture) combinatorPod(t *testing.T) (port string) {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(w.receiveNotice))
	t.Cleanup(server.Close)
	namespace := testdatabase.Config(t, w.toDatabase.DSN).Kubernetes.Namespaces.Combinator
	pods.NewCombinator(t, w.clients.Typed, namespace, "combinator", "127.0.0.1")
	_, port, err := net.SplitHostPort(server.Listener.Addr().String())
	require.NoError(t, err)
	return port
}

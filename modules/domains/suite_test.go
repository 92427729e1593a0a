package domains_test

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"app238.com/inner/app/config"
	"app238.com/inner/app/kube"
	"app238.com/inner/modules/domains"
	"app238.com/inner/modules/domains/admin"
	"app238.com/inner/modules/domains/internal/check"
	"app238.com/inner/modules/domains/internal/cluster"
	"app238.com/inner/modules/domains/internal/metrics"
	"app238.com/inner/modules/domains/internal/objects"
	"app238.com/inner/modules/domains/internal/resolve"
	"app238.com/inner/modules/domains/internal/scan"
	"app238.com/inner/modules/domains/internal/store"
	"app238.com/inner/modules/domains/internal/validate"
	"app238.com/inner/test/dnsserver"
	"app238.com/inner/test/testdatabase"
)

const (
	// timeout is how long a test waits for a condition.
	timeout = 60 * time.Second
	// platform is the platform's own domain, target a worker's host under it.
	platform = "platform.test"
	target   = "w1.worker." + platform
)

// bundle is a database, a DNS with the user's zone example.test, and a namespace of a real cluster.
type bundle struct {
	t        *testing.T
	db       *testdatabase.Database
	config   *config.Config
	user     *dnsserver.Server
	platform *dnsserver.Server
	net      *dnsserver.Net
	clients  *kube.Clients
	logs     *observer.ObservedLogs
	log      *zap.Logger
	rows     int
}

func setup(t *testing.T) *bundle {
	t.Helper()
	b := &bundle{t: t, db: testdatabase.New(t)}
	core, logs := observer.New(zapcore.DebugLevel)
	b.logs, b.log = logs, zap.New(core)
	n, err := dnsserver.New()
	require.NoError(t, err)
	b.net = n
	t.Cleanup(func() { require.NoError(t, n.Close()) })
	for zone, server := range map[string]**dnsserver.Server{"example.test.": &b.user, platform + ".": &b.platform} {
		*server, err = n.Server()
		require.NoError(t, err)
		require.NoError(t, n.Root.Delegate(zone, *server))
	}
	suffix := make([]byte, 4)
	_, err = rand.Read(suffix)
	require.NoError(t, err)
	c := b.db.Config
	c.Domain = platform
	c.Kubernetes.Kubeconfig = os.Getenv("INNER_TEST_KUBECONFIG")
	require.NotEmpty(t, c.Kubernetes.Kubeconfig, "run the tests with make test")
	c.Kubernetes.Namespaces.Ingress = "ingress-" + hex.EncodeToString(suffix)
	d := &c.Domains
	d.ScanInterval, d.ResyncInterval = 50*time.Millisecond, 200*time.Millisecond
	d.DNS = config.DNS{Roots: []string{n.Root.Addr.String()}, Port: n.Port, PrivateServers: true, Queries: 64,
		Timeout: 5 * time.Second, Delegations: time.Minute}
	b.config = c
	b.clients, err = kube.NewClients(c)
	require.NoError(t, err)
	_, err = b.clients.Typed.CoreV1().Namespaces().Create(t.Context(),
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: b.namespace()}}, metav1.CreateOptions{})
	require.NoError(t, err)
	t.Cleanup(func() {
		require.NoError(t, b.clients.Typed.CoreV1().Namespaces().Delete(context.Background(), b.namespace(), metav1.DeleteOptions{}))
	})
	return b
}

func (b *bundle) namespace() string { return b.config.Kubernetes.Namespaces.Ingress }

// replica is the module as one process runs it.
type replica struct {
	*domains.Domains
	admin   *check.Admin
	checker *check.Checker
	cluster *cluster.Cluster
	leader  *leader
	metrics *metrics.Metrics
	scanner *scan.Scanner
	store   *store.Store
}

// replica makes a replica, which leads, without starting it.
func (b *bundle) replica() *replica {
	b.t.Helper()
	r := &replica{store: store.New(b.db.DB, b.config), leader: &leader{}}
	r.leader.leads.Store(true)
	var err error
	r.metrics, err = metrics.New(prometheus.NewRegistry())
	require.NoError(b.t, err)
	querier, err := resolve.NewResolver(b.config.Domains.DNS, r.metrics.ObserveQuery)
	require.NoError(b.t, err)
	clients, err := kube.NewClients(b.config)
	require.NoError(b.t, err)
	r.scanner = scan.New(b.config, b.log, validate.New(b.config), r.store)
	r.checker = check.New(b.config, b.log, r.metrics, r.store, resolve.NewVerifier(b.config, querier))
	r.admin = check.NewAdmin(r.checker, r.scanner, r.store, cluster.NewLister(b.config, clients))
	r.cluster, err = cluster.New(b.config, b.log, clients, r.metrics, r.store, r.leader)
	require.NoError(b.t, err)
	r.Domains = domains.New(b.config, b.log, r.checker, r.cluster, r.scanner)
	return r
}

// start starts a replica, which is stopped when the test ends or stop is called.
func (b *bundle) start() (r *replica, stop func()) {
	b.t.Helper()
	r = b.replica()
	return r, b.run(r)
}

// run starts a replica. It returns when the replica's caches are synced.
func (b *bundle) run(r *replica) (stop func()) {
	b.t.Helper()
	require.NoError(b.t, r.Start(b.t.Context()))
	stop = sync.OnceFunc(func() {
		ctx, cancel := context.WithTimeout(context.Background(), timeout)
		defer cancel()
		require.NoError(b.t, r.Stop(ctx))
		require.Error(b.t, r.Ready(ctx))
	})
	b.t.Cleanup(stop)
	b.await("caches are synced", func() error { return r.Ready(b.t.Context()) })
	return stop
}

// row is a row of custom_domains.
type row struct{ cdid, user, domain, target, value string }

// row returns a valid row for a host under example.test.
func (b *bundle) row(host string) row {
	b.rows++
	return row{cdid: fmt.Sprintf("%08x", b.rows), user: "u1", domain: host + ".example.test", target: target,
		value: fmt.Sprintf("combinator-verify=%032x", b.rows)}
}

// insert inserts a row as Outer does.
func (b *bundle) insert(r row) row {
	b.t.Helper()
	b.exec(`INSERT INTO custom_domains (cdid, user_uid, domain, target, txt_name, txt_value) VALUES ($1, $2, $3, $4, $5, $6)`,
		r.cdid, r.user, r.domain, r.target, "_combinator-verify."+r.domain, r.value)
	return r
}

// addRecords adds the DNS records that verify a row.
func (b *bundle) addRecords(r row) {
	b.t.Helper()
	require.NoError(b.t, b.user.Add(
		"_combinator-verify."+r.domain+". 60 IN TXT \""+r.value+"\"", r.domain+". 60 IN CNAME "+r.target+"."))
}

// removeRecords removes them.
func (b *bundle) removeRecords(r row) {
	b.user.Remove("_combinator-verify." + r.domain + ".")
	b.user.Remove(r.domain + ".")
}

func (b *bundle) exec(query string, args ...any) {
	b.t.Helper()
	_, err := b.db.ExecContext(b.t.Context(), query, args...)
	require.NoError(b.t, err)
}

// domain returns the domain of a row as operators see it.
func (b *bundle) domain(r row) admin.Domain {
	b.t.Helper()
	found, err := store.New(b.db.DB, b.config).Find(b.t.Context(), r.cdid, "")
	require.NoError(b.t, err)
	return found
}

// awaitState waits until a domain has a state and its row a status.
func (b *bundle) awaitState(r row, state, status string) {
	b.t.Helper()
	b.await(r.domain+" is "+state, func() error {
		if d := b.domain(r); d.State != state || d.Status != status {
			return fmt.Errorf("%+v", d)
		}
		return nil
	})
}

// live returns the object of a kind that serves a row, or nil.
func (b *bundle) live(kind objects.Kind, r row) *unstructured.Unstructured {
	b.t.Helper()
	u, err := b.clients.Get(b.t.Context(), kind.Resource, b.namespace(), objects.Name(r.cdid))
	if apierrors.IsNotFound(err) {
		return nil
	}
	require.NoError(b.t, err)
	return u
}

// awaitServed waits until all objects of a row exist, awaitUnserved until none does.
func (b *bundle) awaitServed(r row) {
	b.t.Helper()
	b.await(r.domain+" is served", func() error {
		for _, kind := range objects.Kinds() {
			if b.live(kind, r) == nil {
				return fmt.Errorf("%s is missing", kind.Name)
			}
		}
		return nil
	})
}

func (b *bundle) awaitUnserved(r row) {
	b.t.Helper()
	b.await(r.domain+" is not served", func() error {
		for _, kind := range objects.Kinds() {
			if b.live(kind, r) != nil {
				return fmt.Errorf("%s exists", kind.Name)
			}
		}
		return nil
	})
}

// awaitKnown waits until so many domains have checks: those of removed domains are deleted.
func (b *bundle) awaitKnown(want int) {
	b.t.Helper()
	b.await("checks of removed domains are deleted", func() error {
		var n int
		if err := b.db.QueryRowContext(b.t.Context(), `SELECT count(*) FROM inner_domain_checks`).Scan(&n); err != nil || n != want {
			return fmt.Errorf("%d known: %w", n, err)
		}
		return nil
	})
}

// serve inserts a row and waits until it is served.
func (b *bundle) serve(host string) row {
	b.t.Helper()
	r := b.insert(b.row(host))
	b.addRecords(r)
	b.awaitState(r, "verified", "success")
	b.awaitServed(r)
	return r
}

// await waits until met returns nil.
func (b *bundle) await(what string, met func() error) {
	b.t.Helper()
	deadline := time.Now().Add(timeout)
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for last := met(); last != nil; last = met() {
		if time.Now().After(deadline) {
			require.FailNow(b.t, "not in time: "+what, "%v\nlog: %s", last, b.logText())
		}
		<-ticker.C
	}
}

func (b *bundle) logText() string {
	var lines []string
	for _, entry := range b.logs.All() {
		lines = append(lines, fmt.Sprint(entry.Level, " ", entry.Message, " ", entry.ContextMap()))
	}
	return strings.Join(lines, "\n")
}

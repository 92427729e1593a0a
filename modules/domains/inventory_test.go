package domains_test

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"app238.com/inner/app/kube"
	"app238.com/inner/modules/audit/inventory"
	"app238.com/inner/modules/domains/internal/cluster"
	domaininventory "app238.com/inner/modules/domains/internal/inventory"
	"app238.com/inner/modules/domains/internal/objects"
	"app238.com/inner/modules/domains/internal/store"
)

// listActual returns the parts of the listed objects by name.
func listActual(t *testing.T, i inventory.Inventory) map[string][]string {
	t.Helper()
	parts := map[string][]string{}
	require.NoError(t, i.ListActual(t.Context(), func(page []inventory.Object) error {
		for _, o := range page {
			parts[o.Name] = append(parts[o.Name], o.Parts...)
		}
		return nil
	}))
	for _, p := range parts {
		slices.Sort(p)
	}
	return parts
}

// build returns an object of this platform for a row.
func (b *bundle) build(kind objects.Kind, r row) *unstructured.Unstructured {
	b.t.Helper()
	builder := objects.Builder{Namespace: b.namespace(), Issuer: "x", Platform: b.config.PlatformMark()}
	u, err := builder.Build(kind, objects.Domain{CDID: r.cdid, UserUID: r.user, Host: "a.test", Target: "b.test"})
	require.NoError(b.t, err)
	return u
}

func (b *bundle) inventory() inventory.Inventory {
	b.t.Helper()
	all := domaininventory.New(cluster.NewLister(b.config, b.clients), store.New(b.db.DB, b.config))
	require.Len(b.t, all, 1)
	return all[0]
}

func TestInventoryListsOwnObjectsAndAllRows(t *testing.T) {
	t.Parallel()
	b := setup(t)
	_, stop := b.start()
	served, waiting := b.serve("www"), b.insert(b.row("waiting"))
	b.awaitState(waiting, "pending", "pending")
	stop()
	u := b.build(objects.Services(), row{cdid: "other", user: "u"})
	u.SetName("unmanaged")
	_, err := b.clients.Apply(t.Context(), objects.Services().Resource, u)
	require.NoError(t, err)

	i := b.inventory()
	require.Equal(t, map[string][]string{objects.Name(served.cdid): {"Certificate", "IngressRoute", "Service"}}, listActual(t, i))
	page, err := i.ListDesired(t.Context(), 0, 1)
	require.NoError(t, err)
	require.Len(t, page, 1)
	require.Equal(t, []string{"Service", "IngressRoute"}, page[0].Needs)
	require.Equal(t, served.cdid, page[0].ID)
	page, err = i.ListDesired(t.Context(), page[0].Row, 1)
	require.NoError(t, err)
	require.Equal(t, waiting.cdid, page[0].ID)
	require.Empty(t, page[0].Needs, "a pending row justifies objects and needs none")
	page, err = i.ListDesired(t.Context(), page[0].Row, 1)
	require.NoError(t, err)
	require.Empty(t, page)
}

func TestInventoryWorksWithoutCertManager(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.hideGroup("cert-manager.io")
	_, stop := b.start()
	r := b.insertRouted(t, "www")
	stop()
	clients, err := kube.NewClients(b.config)
	require.NoError(t, err)
	i := domaininventory.New(cluster.NewLister(b.config, clients), store.New(b.db.DB, b.config))[0]
	require.Equal(t, map[string][]string{objects.Name(r.cdid): {"IngressRoute", "Service"}}, listActual(t, i))
}

func TestOrphansAreDeletedAndReferencedObjectsKept(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.start()
	r := b.serve("www")
	stray := row{cdid: "5747ffff", user: "u9"}
	for _, kind := range objects.Kinds() {
		_, err := b.clients.Apply(t.Context(), kind.Resource, b.build(kind, stray))
		require.NoError(t, err)
	}
	b.certificateSecret(stray)
	i := b.inventory()
	of := func(r row) inventory.Object {
		return inventory.Object{Name: objects.Name(r.cdid), Owner: r.user, ID: r.cdid}
	}
	require.ErrorIs(t, i.Delete(t.Context(), of(r)), inventory.ErrReferenced)
	require.NoError(t, i.Delete(t.Context(), of(stray)))
	b.awaitUnserved(stray)
	b.awaitServed(r)
}

func TestRepairReconcilesTheDomain(t *testing.T) {
	t.Parallel()
	b := setup(t)
	_, stop := b.start()
	r := b.serve("www")
	stop()
	require.NoError(t, b.clients.Delete(t.Context(), objects.Routes().Resource, b.namespace(), objects.Name(r.cdid), ""))
	b.start()
	i := b.inventory()
	page, err := i.ListDesired(t.Context(), 0, 10)
	require.NoError(t, err)
	before := b.revision(r)
	require.NoError(t, i.Repair(t.Context(), page[0], inventory.Drift{Missing: []string{"IngressRoute"}}))
	require.Greater(t, b.revision(r), before, "every process reconciles the domain")
	b.awaitServed(r)
}

func (b *bundle) revision(r row) (n int64) {
	b.t.Helper()
	query := `SELECT revision FROM inner_domain_checks WHERE cdid = $1`
	require.NoError(b.t, b.db.QueryRowContext(b.t.Context(), query, r.cdid).Scan(&n))
	return n
}

package domains_test

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"app238.com/inner/modules/domains/internal/objects"
)

// others makes the objects of a domain as a platform with this mark has them, in the namespace that both share.
func (b *bundle) others(r row, mark string) {
	b.t.Helper()
	builder := objects.Builder{Namespace: b.namespace(), Issuer: "x", Platform: mark}
	for _, kind := range objects.Kinds() {
		u, err := builder.Build(kind, objects.Domain{CDID: r.cdid, UserUID: r.user, Host: "others.test", Target: "target.test"})
		require.NoError(b.t, err)
		_, err = b.clients.Apply(b.t.Context(), kind.Resource, u)
		require.NoError(b.t, err)
	}
}

// requireOthers checks that the objects of a domain are as others has made them.
func (b *bundle) requireOthers(before map[objects.Kind]string, r row) {
	b.t.Helper()
	for kind, version := range before {
		live := b.live(kind, r)
		require.NotNil(b.t, live, kind.Name)
		require.Equal(b.t, version, live.GetResourceVersion(), kind.Name)
	}
}

func TestObjectsOfAnotherPlatformAreNeitherListedNorChangedNorRemoved(t *testing.T) {
	t.Parallel()
	b := setup(t)
	r := b.row("same")
	b.others(r, "another")
	before := map[objects.Kind]string{}
	for _, kind := range objects.Kinds() {
		before[kind] = b.live(kind, r).GetResourceVersion()
	}
	require.Empty(t, world(t, b.inventory()), "of what is listed the audit deletes what has no row")

	_, stop := b.start()
	b.prove(r)
	b.insert(r)
	b.awaitState(r, "verified", "success")
	b.await("it is told", func() error {
		if said := b.domain(r).Certificate; said != "objects of this name are another platform's" {
			return errors.New(said)
		}
		return nil
	})
	b.requireOthers(before, r)
	b.exec(`DELETE FROM custom_domains WHERE cdid = $1`, r.cdid)
	b.awaitKnown(0)
	stop()
	b.requireOthers(before, r)
}

package domains_test

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"app238.com/inner/modules/domains/internal/cluster"
	"app238.com/inner/modules/domains/internal/objects"
)

// applyWithMark applies the objects of a domain as another platform with this mark, in the shared namespace.
func (b *bundle) applyWithMark(r row, mark string) {
	b.t.Helper()
	builder := objects.Builder{Namespace: b.namespace(), Issuer: "x", Platform: mark}
	for _, kind := range objects.Kinds() {
		u, err := builder.Build(kind, objects.Domain{CDID: r.cdid, UserUID: r.user, Host: "others.test", Target: "target.test"})
		require.NoError(b.t, err)
		_, err = b.clients.Apply(b.t.Context(), kind.Resource, u)
		require.NoError(b.t, err)
	}
}

// requireUnchanged checks that the objects of a domain still have these resource versions.
func (b *bundle) requireUnchanged(before map[objects.Kind]string, r row) {
	b.t.Helper()
	for kind, version := range before {
		live := b.live(kind, r)
		require.NotNil(b.t, live, kind.Name)
		require.Equal(b.t, version, live.GetResourceVersion(), kind.Name)
	}
}

func TestObjectsOfAnotherPlatformAreLeftAlone(t *testing.T) {
	t.Parallel()
	b := setup(t)
	r := b.row("same")
	b.applyWithMark(r, "another")
	before := map[objects.Kind]string{}
	for _, kind := range objects.Kinds() {
		before[kind] = b.live(kind, r).GetResourceVersion()
	}
	require.Empty(t, listActual(t, b.inventory()), "the audit may delete listed objects")

	_, stop := b.start()
	b.addRecords(r)
	b.insert(r)
	b.awaitState(r, "verified", "success")
	b.await("it is reported", func() error {
		if text := b.domain(r).Certificate; text != "objects of this name are another platform's" {
			return errors.New(text)
		}
		return nil
	})
	b.requireUnchanged(before, r)
	b.exec(`DELETE FROM custom_domains WHERE cdid = $1`, r.cdid)
	b.awaitKnown(0)
	stop()
	b.requireUnchanged(before, r)
}

func TestObjectsAreShownWithoutTheSettingsOfTheMark(t *testing.T) {
	t.Parallel()
	b := setup(t)
	r := b.row("www")
	b.applyWithMark(r, "another")
	for domain, want := range map[string]bool{platform: true, "": false} {
		c := *b.config
		c.Domain = domain
		all, err := cluster.NewLister(&c, b.clients).Of(t.Context(), r.cdid)
		require.NoError(t, err)
		require.Len(t, all, len(objects.Kinds()))
		for _, o := range all {
			require.Equal(t, want, o.State == "belongs to another platform", "%q: %+v", domain, o)
		}
	}
}

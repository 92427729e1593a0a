package domains_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"app238.com/inner/modules/domains/internal/objects"
)

func TestDeletedObjectsComeBack(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.start()
	r := b.serve("www")
	for _, kind := range objects.Kinds() {
		before := b.live(kind, r)
		require.NoError(t, b.clients.Delete(t.Context(), kind.Resource, b.namespace(), before.GetName()))
		b.await(kind.Name+" is back", func() error {
			if after := b.live(kind, r); after == nil || after.GetUID() == before.GetUID() {
				return errors.New("not yet")
			}
			return nil
		})
	}
}

func TestEditedObjectsAreRestored(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.start()
	r := b.serve("www")
	for what, edit := range map[string]struct {
		kind  objects.Kind
		patch string
	}{
		"target":     {objects.Services(), `{"spec": {"externalName": "elsewhere.test"}}`},
		"port":       {objects.Services(), `{"spec": {"ports": [{"name": "https", "port": 80}]}}`},
		"label":      {objects.Services(), `{"metadata": {"labels": {"app": "other"}}}`},
		"user":       {objects.Routes(), `{"metadata": {"labels": {"user-uid": "u2"}}}`},
		"host":       {objects.Routes(), `{"spec": {"routes": [{"match": "Host(` + "`x`" + `)", "kind": "Rule"}]}}`},
		"middleware": {objects.Routes(), `{"spec": {"routes": [{"match": "Host(` + "`www.example.test`" + `)", "kind": "Rule", "middlewares": [{"name": "x"}]}]}}`},
		"secret":     {objects.Routes(), `{"spec": {"tls": {"secretName": "other"}}}`},
		"names":      {objects.Certificates(), `{"spec": {"dnsNames": ["victim.test"]}}`},
		"issuer":     {objects.Certificates(), `{"spec": {"issuerRef": {"name": "other"}}}`},
	} {
		wished := b.live(edit.kind, r)
		_, err := b.clients.MergePatch(t.Context(), edit.kind.Resource, b.namespace(), wished.GetName(), []byte(edit.patch))
		require.NoError(t, err, what)
		b.await(what+" is restored", func() error {
			now := b.live(edit.kind, r)
			if now == nil {
				return errors.New("it is being replaced")
			}
			if objects.Differs(wished, now) || objects.Differs(now, wished) {
				return fmt.Errorf("%v", now.Object["spec"])
			}
			return nil
		})
	}
}

func TestAServiceThatCannotBeChangedIsReplaced(t *testing.T) {
	t.Parallel()
	b := setup(t)
	r := b.row("www")
	_, err := b.clients.Typed.CoreV1().Services(b.namespace()).Create(t.Context(), &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: objects.Name(r.cdid), Labels: map[string]string{"app": "custom-domain"}},
		Spec:       corev1.ServiceSpec{ClusterIP: corev1.ClusterIPNone, Ports: []corev1.ServicePort{{Port: 443}}},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
	b.start()
	b.insert(r)
	b.prove(r)
	b.awaitServed(r)
	b.await("it is an ExternalName", func() error {
		s, err := b.clients.Typed.CoreV1().Services(b.namespace()).Get(t.Context(), objects.Name(r.cdid), metav1.GetOptions{})
		if err != nil || s.Spec.Type != corev1.ServiceTypeExternalName {
			return fmt.Errorf("%v: %w", s.Spec, err)
		}
		return nil
	})
}

func TestObjectsThatTheDatabaseDoesNotKnowAreLeftToTheAudit(t *testing.T) {
	t.Parallel()
	b := setup(t)
	stray := row{cdid: "5747ffff"}
	u, err := objects.Builder{Namespace: b.namespace(), Issuer: "x"}.Build(objects.Services(), objects.Domain{CDID: stray.cdid, UserUID: "u", Host: "a.test", Target: "b.test"})
	require.NoError(t, err)
	_, err = b.clients.Apply(t.Context(), objects.Services().Resource, u)
	require.NoError(t, err)
	replica, stop := b.start()
	b.serve("www")
	stop()
	require.NotNil(t, b.live(objects.Services(), stray))
	require.Equal(t, 3, replica.writes())
}

func TestTwoReplicasCheckEachDomainOnceAndAReconcileWithNothingToDoWritesNothing(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.config.Domains.LookInterval = 10 * time.Millisecond
	first, _ := b.start()
	second, _ := b.start()
	const count = 30
	var all []row
	for i := range count {
		r := b.row(fmt.Sprintf("www%d", i))
		b.prove(r)
		all = append(all, b.insert(r))
	}
	for _, r := range all {
		b.awaitState(r, "verified", "success")
		b.awaitServed(r)
	}
	for _, r := range all {
		require.Equal(t, 1, b.user.Asked("_combinator-verify."+r.domain+"."), r.domain)
	}
	versions := func() (all string) {
		for _, kind := range objects.Kinds() {
			list, err := b.clients.Dynamic.Resource(kind.Resource).Namespace(b.namespace()).List(t.Context(), metav1.ListOptions{})
			require.NoError(t, err)
			require.Len(t, list.Items, count)
			for _, item := range list.Items {
				all += item.GetResourceVersion() + " "
				require.EqualValues(t, 1, max(1, item.GetGeneration()), "applied again it is the same")
			}
		}
		return all
	}
	before := versions()
	third, stop := b.start()
	b.exec(`UPDATE inner_domain_checks SET revision = revision + 1`)
	b.await("every process has looked at every domain", func() error {
		for _, r := range []*replica{first, second, third} {
			if err := r.pass.Run(t.Context()); err != nil {
				return err
			}
		}
		if b.logs.FilterMessage("caches of custom domains synced").Len() < 3 {
			return errors.New("not yet")
		}
		return nil
	})
	writes := first.writes() + second.writes()
	r := b.serve("last")
	stop()
	require.LessOrEqual(t, first.writes()+second.writes()+third.writes()-writes, 9, "three objects by three processes at most")
	require.NoError(t, b.clients.Delete(t.Context(), objects.Routes().Resource, b.namespace(), objects.Name(r.cdid)))
	b.await("one of them heals it", func() error {
		if b.live(objects.Routes(), r) == nil {
			return errors.New("not yet")
		}
		return nil
	})
	b.exec(`DELETE FROM custom_domains WHERE cdid = $1`, r.cdid)
	b.awaitUnserved(r)
	require.Equal(t, before, versions())
}

package domains_test

import (
	"errors"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"app238.com/inner/modules/domains/internal/objects"
	"app238.com/inner/test/proxy"
)

func TestRowsAgainstTheRulesAreErrorsAndTheDNSIsNotAsked(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.start()
	for name, change := range map[string]func(*row){
		"cluster target": func(r *row) { r.target = "kubernetes.default.svc.cluster.local" },
		"foreign target": func(r *row) { r.target = "evil.test" },
		"address":        func(r *row) { r.target = "10.0.0.1" },
		"rule":           func(r *row) { r.target = "a`) || Host(`b." + platform },
		"own domain":     func(r *row) { r.domain = "x.worker." + platform },
		"value":          func(r *row) { r.value = "x" },
		"domain":         func(r *row) { r.domain = "a`b.example.test" },
	} {
		r := b.row("host")
		change(&r)
		b.insert(r)
		b.awaitState(r, "refused", "error")
		require.NotEmpty(t, b.domain(r).Detail, name)
		require.Nil(t, b.live(objects.Services(), r), name)
		b.exec(`DELETE FROM custom_domains`)
	}
	require.Zero(t, b.user.Asked(""))
	require.Zero(t, b.platform.Asked(""))
}

func TestTheSameDomainInAnotherSpellingHasOneHolder(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.start()
	first := b.serve("www")
	second := b.row("www")
	second.user, second.domain = "u2", "WWW.Example.TEST."
	b.insert(second)
	// The second user comes to control the zone too, or it is a shared one.
	require.NoError(t, b.user.Add("_combinator-verify.www.example.test. 60 IN TXT \""+second.value+"\""))
	b.await("it was checked", func() error {
		if b.domain(second).Answer == "" {
			return errors.New("not yet")
		}
		return nil
	})
	b.exec(`UPDATE inner_domain_checks SET next_check_at = LOCALTIMESTAMP`)
	b.await("it is told so", func() error {
		if text := b.domain(second).Detail; text != "the same domain is served for another entry" {
			return errors.New(text)
		}
		return nil
	})
	require.Nil(t, b.live(objects.Routes(), second))
	b.awaitState(first, "verified", "success")
	b.awaitServed(first)

	b.exec(`DELETE FROM custom_domains WHERE cdid = $1`, first.cdid)
	b.awaitUnserved(first)
	b.exec(`UPDATE inner_domain_checks SET next_check_at = LOCALTIMESTAMP`)
	b.await("the other one takes over", func() error {
		b.exec(`UPDATE inner_domain_checks SET next_check_at = LOCALTIMESTAMP`)
		if b.domain(second).State != "verified" {
			return errors.New(b.domain(second).Detail)
		}
		return nil
	})
	b.awaitServed(second)
}

func TestADeletedDomainCannotBeClaimedWithThePreviousUsersValue(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.start()
	old := b.serve("www")
	b.exec(`DELETE FROM custom_domains`)
	b.awaitUnserved(old)
	// The record still stands in the zone, where everybody can read it.
	thief := b.row("www")
	thief.user, thief.value = "thief", old.value
	b.insert(thief)
	b.awaitState(thief, "refused", "error")
	b.exec(`DELETE FROM custom_domains`)
	again := b.row("www")
	again.user = "thief"
	b.insert(again)
	b.await("it was checked", func() error {
		if b.domain(again).Answer != "wrong" {
			return errors.New("not yet")
		}
		return nil
	})
	require.Nil(t, b.live(objects.Routes(), again))
	b.exec(`DELETE FROM custom_domains`)
	back := b.row("www")
	back.value = old.value
	b.insert(back)
	b.awaitState(back, "verified", "success")
}

func TestWhatAReplicaMakesWhileAnotherRemovesTheDomainDoesNotStay(t *testing.T) {
	t.Parallel()
	b := setup(t)
	direct := b.config.Kubernetes.Kubeconfig
	routes := func(r *http.Request) bool {
		return r.Method == http.MethodPatch && strings.Contains(r.URL.Path, "/ingressroutes/")
	}
	held, release, applied := make(chan struct{}), make(chan struct{}), make(chan struct{})
	tellHeld, tellApplied := sync.OnceFunc(func() { close(held) }), sync.OnceFunc(func() { close(applied) })
	slow := proxy.NewCluster(t, direct, proxy.ClusterOptions{Note: func(answer *http.Response) error {
		if routes(answer.Request) {
			tellApplied()
		}
		return nil
	}})
	free := sync.OnceFunc(func() { close(release) })
	t.Cleanup(free) // or the proxy would wait for what it holds
	slow.AnswerWith(func(_ http.ResponseWriter, r *http.Request) bool {
		if routes(r) {
			tellHeld()
			<-release
		}
		return false
	})
	b.config.Kubernetes.Kubeconfig = slow.Kubeconfig(filepath.Join(t.TempDir(), "kubeconfig"))
	b.start()
	b.config.Kubernetes.Kubeconfig = direct
	r := b.insert(b.row("www"))
	b.insert(b.row("other"))
	b.prove(r)
	<-held
	b.start()
	b.exec(`DELETE FROM custom_domains WHERE cdid = $1`, r.cdid)
	b.awaitKnown(1)
	free()
	<-applied
	b.awaitUnserved(r)
}

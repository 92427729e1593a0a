package domains_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"app238.com/inner/app/kube"
	"app238.com/inner/modules/domains/internal/objects"
	"app238.com/inner/modules/domains/internal/store"
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

// held is a replica whose request to make a route has been sent, and does not arrive until it is freed.
type held struct {
	// stop ends the replica, free lets the request arrive, also when its sender has ended, and waits for that.
	stop, free func()
}

func (b *bundle) startHeld(r row) held {
	b.t.Helper()
	direct := b.config.Kubernetes.Kubeconfig
	sent, release, arrived := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	tellSent := sync.OnceFunc(func() { close(sent) })
	free := sync.OnceFunc(func() { close(release) })
	slow := proxy.NewCluster(b.t, direct, proxy.ClusterOptions{})
	b.t.Cleanup(free) // or the proxy would wait for what it holds
	slow.AnswerWith(func(w http.ResponseWriter, request *http.Request) bool {
		if request.Method != http.MethodPatch || !strings.Contains(request.URL.Path, "/ingressroutes/") {
			return false
		}
		body, err := io.ReadAll(request.Body)
		if err != nil {
			return false
		}
		tellSent()
		<-release
		made, err := b.clients.Dynamic.Resource(objects.Routes().Resource).Namespace(b.namespace()).Patch(context.Background(),
			objects.Name(r.cdid), types.ApplyPatchType, body, metav1.PatchOptions{FieldManager: kube.FieldManager, Force: new(true)})
		w.Header().Set("Content-Type", "application/json")
		select {
		case arrived <- errors.Join(err, json.NewEncoder(w).Encode(made)):
		default: // one is waited for
		}
		return true
	})
	b.config.Kubernetes.Kubeconfig = slow.Kubeconfig(filepath.Join(b.t.TempDir(), "kubeconfig"))
	b.prove(r)
	_, stop := b.start()
	b.config.Kubernetes.Kubeconfig = direct
	<-sent
	return held{stop: stop, free: func() {
		free()
		require.NoError(b.t, <-arrived)
	}}
}

// awaitRemovals waits until a replica has removed routes so many times.
func (b *bundle) awaitRemovals(r *replica, times float64) {
	b.t.Helper()
	b.await("routes are removed", func() error {
		if n := testutil.ToFloat64(r.metrics.Writes.WithLabelValues(objects.Routes().Name, "delete")); n < times {
			return fmt.Errorf("%v times", n)
		}
		return nil
	})
}

func TestWhatAReplicaMakesWhileAnotherRemovesTheDomainDoesNotStay(t *testing.T) {
	t.Parallel()
	b := setup(t)
	r := b.insert(b.row("www"))
	b.insert(b.row("other"))
	first := b.startHeld(r)
	second, _ := b.start()
	b.exec(`DELETE FROM custom_domains WHERE cdid = $1`, r.cdid)
	b.awaitRemovals(second, 2)
	b.awaitKnown(2)
	first.free()
	b.awaitKnown(1)
	b.awaitUnserved(r)
}

func TestNothingIsMadeForAWishThatHasChanged(t *testing.T) {
	t.Parallel()
	b := setup(t)
	r, stop := b.start()
	name := objects.Name(b.serve("www").cdid)
	var wish store.Desired
	b.await("nothing is under way", func() (err error) {
		if wish, err = r.store.Desired(t.Context(), name); err == nil && wish.Applying {
			err = errors.New("it is")
		}
		return err
	})
	stop()
	require.NoError(t, r.store.BeginApply(t.Context(), wish, time.Minute))
	now, err := r.store.Desired(t.Context(), name)
	require.NoError(t, err)
	require.True(t, now.Applying)
	b.exec(`UPDATE inner_domain_checks SET revision = revision + 1`)
	require.ErrorIs(t, r.store.BeginApply(t.Context(), wish, time.Minute), store.ErrNotFound)
	b.exec(`UPDATE inner_domain_checks SET revision = revision - 1, gone = true`)
	require.ErrorIs(t, r.store.BeginApply(t.Context(), wish, time.Minute), store.ErrNotFound)
}

func TestWhatAKilledReplicaHadAskedForDoesNotStayAfterTheDomainWasRemoved(t *testing.T) {
	t.Parallel()
	b := setup(t)
	r := b.insert(b.row("www"))
	b.insert(b.row("other"))
	killed := b.startHeld(r)
	killed.stop()
	second, _ := b.start()
	b.exec(`DELETE FROM custom_domains WHERE cdid = $1`, r.cdid)
	b.awaitRemovals(second, 2)
	killed.free()
	b.awaitUnserved(r)
	b.awaitKnown(2)
	b.exec(`UPDATE inner_domain_checks SET applying_until = LOCALTIMESTAMP`) // the time that the API server has for it
	b.awaitKnown(1)
	b.awaitUnserved(r)
}

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

func TestInvalidRowsAreRefusedWithoutQueries(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.start()
	for name, change := range map[string]func(*row){
		"cluster target": func(r *row) { r.target = "kubernetes.default.svc.cluster.local" },
		"other target":   func(r *row) { r.target = "evil.test" },
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
	require.Zero(t, b.user.QueryCount(""))
	require.Zero(t, b.platform.QueryCount(""))
}

func TestOneHostIsServedForOneRowOnly(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.start()
	first := b.serve("www")
	second := b.row("www")
	second.user, second.domain = "u2", "WWW.Example.TEST."
	b.insert(second)
	// The second user controls the zone as well, or shares it.
	require.NoError(t, b.user.Add("_combinator-verify.www.example.test. 60 IN TXT \""+second.value+"\""))
	b.await("it was checked", func() error {
		if b.domain(second).Answer == "" {
			return errors.New("not yet")
		}
		return nil
	})
	b.exec(`UPDATE inner_domain_checks SET next_check_at = LOCALTIMESTAMP`)
	b.await("it is reported", func() error {
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
	b.await("the second row is verified", func() error {
		b.exec(`UPDATE inner_domain_checks SET next_check_at = LOCALTIMESTAMP`)
		if b.domain(second).State != "verified" {
			return errors.New(b.domain(second).Detail)
		}
		return nil
	})
	b.awaitServed(second)
}

func TestValueOfThePreviousUserVerifiesNobodyElse(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.start()
	old := b.serve("www")
	b.exec(`DELETE FROM custom_domains`)
	b.awaitUnserved(old)
	// The record is still in the zone, where everybody can read it.
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

// delayedReplica is a replica whose request to apply a route was sent and reaches the API server when it is released.
type delayedReplica struct {
	// stop stops the replica. release lets the request reach the API server, even after stop, and waits for its answer.
	stop, release func()
}

func (b *bundle) startDelayed(r row) delayedReplica {
	b.t.Helper()
	direct := b.config.Kubernetes.Kubeconfig
	sent, released, answered := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	markSent := sync.OnceFunc(func() { close(sent) })
	release := sync.OnceFunc(func() { close(released) })
	slow := proxy.NewCluster(b.t, direct, proxy.ClusterOptions{})
	b.t.Cleanup(release) // otherwise the proxy would not stop
	slow.AnswerWith(func(w http.ResponseWriter, request *http.Request) bool {
		if request.Method != http.MethodPatch || !strings.Contains(request.URL.Path, "/ingressroutes/") {
			return false
		}
		body, err := io.ReadAll(request.Body)
		if err != nil {
			return false
		}
		markSent()
		<-released
		made, err := b.clients.Dynamic.Resource(objects.Routes().Resource).Namespace(b.namespace()).Patch(context.Background(),
			objects.Name(r.cdid), types.ApplyPatchType, body, metav1.PatchOptions{FieldManager: kube.FieldManager, Force: new(true)})
		w.Header().Set("Content-Type", "application/json")
		select {
		case answered <- errors.Join(err, json.NewEncoder(w).Encode(made)):
		default: // only one answer is waited for
		}
		return true
	})
	b.config.Kubernetes.Kubeconfig = slow.Kubeconfig(filepath.Join(b.t.TempDir(), "kubeconfig"))
	b.addRecords(r)
	_, stop := b.start()
	b.config.Kubernetes.Kubeconfig = direct
	<-sent
	return delayedReplica{stop: stop, release: func() {
		release()
		require.NoError(b.t, <-answered)
	}}
}

// awaitRemovals waits until a replica has removed a domain's objects so many times: their Secret is the last one.
func (b *bundle) awaitRemovals(r *replica, times float64) {
	b.t.Helper()
	b.await("objects are removed", func() error {
		if n := testutil.ToFloat64(r.metrics.Writes.WithLabelValues("Secret", "delete")); n < times {
			return fmt.Errorf("%v times", n)
		}
		return nil
	})
}

func TestObjectsAppliedDuringRemovalAreDeleted(t *testing.T) {
	t.Parallel()
	b := setup(t)
	r := b.insert(b.row("www"))
	b.insert(b.row("other"))
	first := b.startDelayed(r)
	second, _ := b.start()
	b.exec(`DELETE FROM custom_domains WHERE cdid = $1`, r.cdid)
	b.awaitRemovals(second, 2)
	b.awaitKnown(2)
	first.release()
	b.awaitKnown(1)
	b.awaitUnserved(r)
}

// awaitApplied waits until no process applies the objects of a domain, and returns their desired state.
func (b *bundle) awaitApplied(r *replica, of row) (desired store.Desired) {
	b.t.Helper()
	b.await("no process is applying", func() (err error) {
		if desired, err = r.store.Desired(b.t.Context(), objects.Name(of.cdid)); err == nil && desired.Applying {
			err = errors.New("one is")
		}
		return err
	})
	return desired
}

func TestChangedDesiredStateIsNotApplied(t *testing.T) {
	t.Parallel()
	b := setup(t)
	r, stop := b.start()
	served := b.serve("www")
	name, desired := objects.Name(served.cdid), b.awaitApplied(r, served)
	stop()
	require.NoError(t, r.store.BeginApply(t.Context(), desired, time.Minute))
	now, err := r.store.Desired(t.Context(), name)
	require.NoError(t, err)
	require.True(t, now.Applying)
	b.exec(`UPDATE inner_domain_checks SET revision = revision + 1`)
	require.ErrorIs(t, r.store.BeginApply(t.Context(), desired, time.Minute), store.ErrNotFound)
	b.exec(`UPDATE inner_domain_checks SET revision = revision - 1, gone = true`)
	require.ErrorIs(t, r.store.BeginApply(t.Context(), desired, time.Minute), store.ErrNotFound)
}

func TestLateRequestOfAKilledReplicaLeavesNoObjects(t *testing.T) {
	t.Parallel()
	b := setup(t)
	r := b.insert(b.row("www"))
	b.insert(b.row("other"))
	killed := b.startDelayed(r)
	killed.stop()
	second, _ := b.start()
	b.exec(`DELETE FROM custom_domains WHERE cdid = $1`, r.cdid)
	b.awaitRemovals(second, 2)
	killed.release()
	b.awaitUnserved(r)
	b.awaitKnown(2)
	b.exec(`UPDATE inner_domain_checks SET applying_until = LOCALTIMESTAMP`) // the API server's request timeout is over
	b.awaitKnown(1)
	b.awaitUnserved(r)
}

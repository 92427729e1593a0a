package domains_test

import (
	"errors"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"app238.com/inner/modules/domains/internal/objects"
	"app238.com/inner/test/proxy"
)

// serveFor inserts a row of a user and waits until it is served.
func (b *bundle) serveFor(user, host string) row {
	b.t.Helper()
	r := b.row(host)
	r.user = user
	b.addRecords(r)
	b.insert(r)
	b.awaitState(r, "verified", "success")
	b.awaitServed(r)
	return r
}

func TestDeletionsOfOneUserDelayNoOtherUsersRemoval(t *testing.T) {
	t.Parallel()
	for name, filler := range map[string]string{"never verified": `revision = 1`, "verified once": `revision = 2`} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			b.config.Domains.RemovalMinimum, b.config.Domains.RemovalShare, b.config.Domains.RemovalGrace = 3, 0.5, time.Hour
			b.start()
			r, others := b.serveFor("u1", "one"), []row{b.serveFor("u2", "two"), b.serveFor("u3", "three")}
			b.insertMany(20, constant("u9"), constant("filler.test"))
			b.awaitKnown(23)
			b.exec(`UPDATE inner_domain_checks SET ` + filler + ` WHERE user_uid = 'u9'`)
			b.exec(`DELETE FROM custom_domains WHERE user_uid IN ('u1', 'u9')`)
			b.awaitUnserved(r)
			b.awaitKnown(2)
			for _, other := range others {
				b.awaitServed(other)
			}
		})
	}
}

func TestDeletedRowsOfAllUsersKeepTheirObjects(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.config.Domains.RemovalMinimum, b.config.Domains.RemovalShare, b.config.Domains.RemovalGrace = 3, 0.5, time.Hour
	b.start()
	all := []row{b.serveFor("u1", "one"), b.serveFor("u2", "two"), b.serveFor("u2", "three"), b.serveFor("u3", "four")}
	b.insertMany(5, constant("u4"), constant("filler.test"))
	b.awaitKnown(9)
	b.exec(`DELETE FROM custom_domains`)
	b.awaitKnown(4)
	b.awaitDeletionLogged()
	for _, r := range all {
		b.awaitServed(r)
	}
	var deleting int
	require.NoError(t, b.db.QueryRowContext(t.Context(), `SELECT count(*) FROM inner_domain_checks WHERE gone`).Scan(&deleting))
	require.Zero(t, deleting)
}

func TestObjectsAreRemovedBeforeAllOfAnotherUsers(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.config.Domains.Workers = 1
	b.start()
	r := b.row("www")
	r.cdid, r.user = "zzzzzzzz", "other" // the last one in the order of cdids
	b.addRecords(r)
	b.insert(r)
	b.awaitServed(r)
	b.insertMany(500, constant("u9"), constant("bulk.test"))
	b.awaitKnown(501)
	b.exec(`DELETE FROM custom_domains`)
	b.awaitUnserved(r)
	var known int
	require.NoError(t, b.db.QueryRowContext(t.Context(), `SELECT count(*) FROM inner_domain_checks`).Scan(&known))
	require.Greater(t, known, 200)
}

// awaitDeletionLogged waits until it was logged more than once that the table lost its rows.
func (b *bundle) awaitDeletionLogged() {
	b.t.Helper()
	b.await("the deletion is logged", func() error {
		if b.logs.FilterMessageSnippet("were deleted at once").Len() < 3 {
			return errors.New("not yet")
		}
		return nil
	})
}

func TestPausedRemovalKeepsObjectsOfADomainVerifiedAgain(t *testing.T) {
	t.Parallel()
	for name, paused := range map[string]func(*http.Request) bool{
		"before it deletes the route": func(r *http.Request) bool {
			return r.Method == http.MethodDelete && strings.Contains(r.URL.Path, "/ingressroutes/")
		},
		"before it looks for the route": func(r *http.Request) bool {
			return r.Method == http.MethodGet && strings.Contains(r.URL.Query().Get("fieldSelector"), "metadata.name=custom-domain")
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			release := b.startPaused(paused)
			r := b.serve("www")
			b.serve("other")
			b.exec(`DELETE FROM custom_domains WHERE cdid = $1`, r.cdid)
			_, stop := b.start()
			b.awaitKnown(1)
			b.insert(r)
			b.awaitServed(r)
			b.certificateSecret(r)
			served := b.uids(r)
			stop()
			release()
			// The paused replica takes a domain's reconciles one after the other: the repair follows the removal.
			require.NoError(t, b.clients.Delete(t.Context(), objects.Services().Resource, b.namespace(), objects.Name(r.cdid), ""))
			b.awaitServed(r)
			require.Equal(t, served, b.uids(r))
		})
	}
}

// startPaused starts a replica whose first request for which paused reports true waits until release is called.
func (b *bundle) startPaused(paused func(*http.Request) bool) (release func()) {
	b.t.Helper()
	direct, released := b.config.Kubernetes.Kubeconfig, make(chan struct{})
	release = sync.OnceFunc(func() { close(released) })
	slow := proxy.NewCluster(b.t, direct, proxy.ClusterOptions{})
	b.t.Cleanup(release) // otherwise the proxy would not stop
	slow.AnswerWith(func(_ http.ResponseWriter, request *http.Request) bool {
		if paused(request) {
			<-released
		}
		return false
	})
	b.config.Kubernetes.Kubeconfig = slow.Kubeconfig(filepath.Join(b.t.TempDir(), "kubeconfig"))
	b.start()
	b.config.Kubernetes.Kubeconfig = direct
	return release
}

// uids returns the UIDs of a domain's Secret, route and certificate.
func (b *bundle) uids(r row) []types.UID {
	b.t.Helper()
	secrets := b.clients.Typed.CoreV1().Secrets(b.namespace())
	secret, err := secrets.Get(b.t.Context(), objects.SecretName(r.cdid), metav1.GetOptions{})
	require.NoError(b.t, err)
	return []types.UID{secret.UID, b.live(objects.Routes(), r).GetUID(), b.live(objects.Certificates(), r).GetUID()}
}

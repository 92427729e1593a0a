package domains_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"app238.com/inner/modules/domains/internal/objects"
	"app238.com/inner/test/admission"
	"app238.com/inner/test/proxy"
)

func TestDeletedObjectsAreCreatedAgain(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.start()
	r := b.serve("www")
	for _, kind := range objects.Kinds() {
		before := b.live(kind, r)
		require.NoError(t, b.clients.Delete(t.Context(), kind.Resource, b.namespace(), before.GetName(), ""))
		b.await(kind.Name+" exists again", func() error {
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
		"target": {objects.Services(), `{"spec": {"externalName": "elsewhere.test"}}`},
		"port":   {objects.Services(), `{"spec": {"ports": [{"name": "https", "port": 80}]}}`},
		"label":  {objects.Services(), `{"metadata": {"labels": {"app": "other"}}}`},
		"user":   {objects.Routes(), `{"metadata": {"labels": {"user-uid": "u2"}}}`},
		"host":   {objects.Routes(), `{"spec": {"routes": [{"match": "Host(` + "`x`" + `)", "kind": "Rule"}]}}`},
		"middleware": {objects.Routes(), `{"spec": {"routes": [{"match": "Host(` + "`www.example.test`" + `)", "kind": "Rule",
			"middlewares": [{"name": "x"}]}]}}`},
		"secret":         {objects.Routes(), `{"spec": {"tls": {"secretName": "other"}}}`},
		"names":          {objects.Certificates(), `{"spec": {"dnsNames": ["victim.test"]}}`},
		"issuer":         {objects.Certificates(), `{"spec": {"issuerRef": {"name": "other"}}}`},
		"one more port":  {objects.Services(), `{"spec": {"ports": [{"name": "https", "port": 443}, {"name": "x", "port": 80}]}}`},
		"selector":       {objects.Services(), `{"spec": {"selector": {"app": "other"}}}`},
		"TLS options":    {objects.Routes(), `{"spec": {"tls": {"options": {"name": "weak"}}}}`},
		"one more field": {objects.Certificates(), `{"spec": {"ipAddresses": ["192.0.2.1"]}}`},
	} {
		desired := b.live(edit.kind, r)
		_, err := b.clients.Dynamic.Resource(edit.kind.Resource).Namespace(b.namespace()).Patch(t.Context(), desired.GetName(),
			types.MergePatchType, []byte(edit.patch), metav1.PatchOptions{FieldManager: "somebody"})
		require.NoError(t, err, what)
		b.await(what+" is restored", func() error {
			now := b.live(edit.kind, r)
			if now == nil {
				return errors.New("it is being replaced")
			}
			if !maps.Equal(now.GetLabels(), desired.GetLabels()) || !reflect.DeepEqual(now.Object["spec"], desired.Object["spec"]) {
				return fmt.Errorf("%v", now.Object["spec"])
			}
			return nil
		})
	}
}

func TestServiceWithImmutableFieldsIsReplaced(t *testing.T) {
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
	b.addRecords(r)
	b.awaitServed(r)
	b.await("it is an ExternalName", func() error {
		s, err := b.clients.Typed.CoreV1().Services(b.namespace()).Get(t.Context(), objects.Name(r.cdid), metav1.GetOptions{})
		if err != nil || s.Spec.Type != corev1.ServiceTypeExternalName {
			return fmt.Errorf("%v: %w", s.Spec, err)
		}
		return nil
	})
}

func TestRefusedUpdateDoesNotDeleteTheObject(t *testing.T) {
	t.Parallel()
	for _, kind := range objects.Kinds() {
		for rule, operations := range map[string][]admissionv1.OperationType{
			"a change": {admissionv1.Update}, "all": {admissionv1.Create, admissionv1.Update},
		} {
			t.Run(kind.Name+" "+rule, func(t *testing.T) {
				t.Parallel()
				b := setup(t)
				b.start()
				r := b.serve("www")
				before := b.live(kind, r)
				admission.Refuse(t, b.clients, kind.Resource, b.namespace(), before.GetName(), metav1.StatusReasonInvalid, operations...)
				_, err := b.clients.Dynamic.Resource(kind.Resource).Namespace(b.namespace()).Patch(t.Context(), before.GetName(),
					types.MergePatchType, []byte(`{"metadata": {"labels": {"user-uid": "other"}}}`),
					metav1.PatchOptions{FieldManager: "somebody"})
				require.NoError(t, err)
				b.await("the refusal is logged", func() error {
					if !strings.Contains(b.logText(), "apply "+kind.Name+" "+before.GetName()+": ") {
						return errors.New("not yet")
					}
					return nil
				})
				after := b.live(kind, r)
				require.NotNil(t, after)
				require.Equal(t, before.GetUID(), after.GetUID())
			})
		}
	}
}

func TestUnknownObjectsAreLeftToTheAudit(t *testing.T) {
	t.Parallel()
	b := setup(t)
	stray := row{cdid: "5747ffff", user: "u"}
	_, err := b.clients.Apply(t.Context(), objects.Services().Resource, b.build(objects.Services(), stray))
	require.NoError(t, err)
	replica, stop := b.start()
	b.serve("www")
	stop()
	require.NotNil(t, b.live(objects.Services(), stray))
	require.Equal(t, 3, replica.writes())
}

// serveMany inserts rows and waits until they are served.
func (b *bundle) serveMany(count int) (all []row) {
	b.t.Helper()
	for i := range count {
		r := b.row(fmt.Sprintf("many%d", i))
		b.addRecords(r)
		all = append(all, b.insert(r))
	}
	for _, r := range all {
		b.awaitState(r, "verified", "success")
		b.awaitServed(r)
	}
	return all
}

// versions returns the resource versions of all objects.
func (b *bundle) versions() (all []string) {
	b.t.Helper()
	for _, kind := range objects.Kinds() {
		list, err := b.clients.Dynamic.Resource(kind.Resource).Namespace(b.namespace()).List(b.t.Context(), metav1.ListOptions{})
		require.NoError(b.t, err)
		for _, item := range list.Items {
			all = append(all, kind.Name+" "+item.GetName()+" "+item.GetResourceVersion())
		}
	}
	return all
}

// startWithStaleCache starts a replica that receives no watch events of a kind until catchUp is called.
func (b *bundle) startWithStaleCache(kind objects.Kind) (r *replica, catchUp func()) {
	b.t.Helper()
	released := make(chan struct{})
	catchUp = sync.OnceFunc(func() { close(released) })
	late := proxy.NewCluster(b.t, b.config.Kubernetes.Kubeconfig, proxy.ClusterOptions{Note: func(answer *http.Response) error {
		url := answer.Request.URL
		if url.Query().Has("watch") && strings.HasSuffix(url.Path, "/"+kind.Resource.Resource) {
			answer.Body = &delayedBody{ReadCloser: answer.Body, released: released}
		}
		return nil
	}})
	b.t.Cleanup(catchUp) // otherwise the proxy would not stop
	b.config.Kubernetes.Kubeconfig = late.Kubeconfig(filepath.Join(b.t.TempDir(), "kubeconfig"))
	r, _ = b.start()
	return r, catchUp
}

// delayedBody is the stream of a watch. It delays all events after the initial ones and their bookmark.
type delayedBody struct {
	io.ReadCloser
	released chan struct{}
	initial  []byte
	synced   bool
}

func (l *delayedBody) Read(into []byte) (int, error) {
	n, err := l.ReadCloser.Read(into)
	if l.synced {
		<-l.released
	}
	if !l.synced {
		l.initial = append(l.initial, into[:n]...)
		l.synced = bytes.Contains(l.initial, []byte("k8s.io/initial-events-end"))
	}
	return n, err
}

func TestNoSecondWriteWhileTheCacheIsStale(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.config.Domains.Workers = 1
	replica, catchUp := b.startWithStaleCache(objects.Services())
	first := b.serve("www")
	replica.cluster.Enqueue(objects.Name(first.cdid), first.user)
	b.serve("other") // with one worker it is served after that reconcile
	require.Equal(t, 6, replica.writes())
	catchUp()
	require.NoError(t, b.clients.Delete(t.Context(), objects.Services().Resource, b.namespace(), objects.Name(first.cdid), ""))
	b.awaitServed(first)
}

func TestReplicasShareChecksAndReconciles(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.config.Domains.ScanInterval = 10 * time.Millisecond
	b.start()
	b.start()
	all := b.serveMany(30)
	for _, r := range all {
		require.Equal(t, 1, b.user.QueryCount("_combinator-verify."+r.domain+"."), r.domain)
	}
	last := all[29]
	require.NoError(t, b.clients.Delete(t.Context(), objects.Routes().Resource, b.namespace(), objects.Name(last.cdid), ""))
	b.awaitServed(last)
	b.exec(`DELETE FROM custom_domains WHERE cdid = $1`, last.cdid)
	b.awaitUnserved(last)
	b.awaitServed(all[0])
}

func TestMutationsByAWebhookAreNoDrift(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for kind, patch := range map[objects.Kind]string{
		objects.Services():     `[{"op": "replace", "path": "/spec/externalName", "value": "mirror.test"}]`,
		objects.Certificates(): `[{"op": "remove", "path": "/spec/secretTemplate"}]`,
		objects.Routes():       `[{"op": "add", "path": "/spec/tls/options", "value": {"name": "strict"}}]`,
	} {
		admission.Mutate(t, b.clients, kind.Resource, b.namespace(), patch)
	}
	first, stop := b.start()
	r := b.serve("www")
	stop()
	require.Equal(t, 3, first.writes())
	before := b.versions()
	b.config.Domains.Workers = 1
	second, _ := b.start()
	b.serve("later") // with one worker the first domain was reconciled before
	require.Equal(t, 3, second.writes(), "those of the later domain")
	require.Subset(t, b.versions(), before)
	require.NotNil(t, b.live(objects.Routes(), r))
}

func TestReconcileWithoutDifferenceWritesNothing(t *testing.T) {
	t.Parallel()
	b := setup(t)
	// With one worker all other domains are reconciled before a later one is served.
	b.config.Domains.Workers = 1
	_, stop := b.start()
	b.serveMany(10)
	stop()
	before := b.versions()
	require.Len(t, before, 30)
	p, _ := b.start()
	b.exec(`UPDATE inner_domain_checks SET revision = revision + 1`)
	r := b.serve("later")
	require.Equal(t, 3, p.writes(), "those of the later domain")
	b.exec(`DELETE FROM custom_domains WHERE cdid = $1`, r.cdid)
	b.awaitUnserved(r)
	require.Equal(t, before, b.versions())
}

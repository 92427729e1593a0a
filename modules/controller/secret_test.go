package controller_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"app238.com/inner/modules/controller/workerapp"
)

// blockSecretEvents blocks watch events of Secrets for controllers started from then on, until release is called.
func (b *bundle) blockSecretEvents() (release func()) {
	gate := make(chan struct{})
	b.proxy.setAnswer(func(w http.ResponseWriter, r *http.Request) bool {
		query := r.URL.Query()
		switch {
		case !strings.HasSuffix(r.URL.Path, "/secrets") || query.Get("watch") == "":
			return false
		case query.Get("sendInitialEvents") != "": // a streaming list, whose later events could not be blocked
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusUnprocessableEntity)
			_, _ = fmt.Fprint(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Invalid","code":422}`)
			return true
		}
		select {
		case <-gate:
		case <-r.Context().Done():
		}
		return false
	})
	return func() { close(gate) }
}

// contentHash returns the hash of the pods' environment.
func (b *bundle) contentHash(name string) (string, error) {
	d, err := b.admin.Typed.AppsV1().Deployments(b.worker()).Get(b.ctx(), name, metav1.GetOptions{})
	if err != nil {
		return "", err
	}
	return d.Spec.Template.Annotations["console.app238.com/content-hash"], nil
}

func TestRolloutUsesFreshSecret(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.startAndSync()
	name := b.deploy(spec("w1"), 1, 1)
	b.awaitPhase(name, workerapp.Running)
	before, err := b.contentHash(name)
	require.NoError(t, err)
	b.stop()
	release := b.blockSecretEvents()
	b.startAndSync()
	_, err = b.admin.Typed.CoreV1().Secrets(b.worker()).Patch(b.ctx(), workerapp.SecretName(name), types.MergePatchType,
		[]byte(`{"data":{"TOKEN":"eA=="}}`), metav1.PatchOptions{})
	require.NoError(t, err)
	b.deploy(spec("w1"), 1, 2)
	var changed string
	b.await("pods with the new Secret", func() (err error) {
		if changed, err = b.contentHash(name); err == nil && changed == before {
			err = errors.New("not yet")
		}
		return err
	})
	release()
	b.awaitPhase(name, workerapp.Running)
	hash, err := b.contentHash(name)
	require.NoError(t, err)
	require.Equal(t, changed, hash, "restarted without a change")
}

func TestFirstRolloutIncludesEarlierSecret(t *testing.T) {
	t.Parallel()
	b := setup(t)
	release := b.blockSecretEvents()
	b.startAndSync()
	name := workerapp.Name("w1", "u1")
	_, err := b.admin.Typed.CoreV1().Secrets(b.worker()).Create(b.ctx(), &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: workerapp.SecretName(name), Labels: workerapp.Labels("w1", "u1")},
		StringData: map[string]string{"TOKEN": "x"},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
	b.deploy(spec("w1"), 1, 1)
	var first string
	b.await("a Deployment", func() (err error) {
		first, err = b.contentHash(name)
		return err
	})
	release()
	b.awaitPhase(name, workerapp.Running)
	hash, err := b.contentHash(name)
	require.NoError(t, err)
	require.Equal(t, first, hash, "pods restarted for a Secret that they already had")
	secret, err := b.admin.Typed.CoreV1().Secrets(b.worker()).Get(b.ctx(), workerapp.SecretName(name), metav1.GetOptions{})
	require.NoError(t, err)
	require.Equal(t, "x", string(secret.Data["TOKEN"]))
	require.Len(t, secret.OwnerReferences, 1)
}

package platform_test

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/base64"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"

	_ "github.com/lib/pq"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/restmapper"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"

	"app238.com/inner/test/stack/certificate"
)

const root = "../../.."

// innerImage is the repository of Inner's image on the node.
const innerImage = "localhost/inner-gateway"

// install brings Inner to the node as the operator's guide has it: image, role, settings, secrets, manifests.
func (p *platform) install(t *testing.T) {
	t.Helper()
	p.image(t, "1")
	p.overlay(t, "1")
	p.apply(t, manifests(t, root+"/configs/deploy/cluster"))
	p.secrets(t, p.role(t))
	p.apply(t, manifests(t, p.folder))
	p.awaitInner(t)
}

// image makes Inner's image by the project's own command and gives it to the node.
func (p *platform) image(t *testing.T, tag string) {
	t.Helper()
	archive := filepath.Join(t.TempDir(), "inner.tar")
	require.NoError(t, command(t, root, nil, "go", "run", "./cmd/image", "-platforms", "linux/"+runtime.GOARCH,
		"-version", "real-"+tag, "-reference", innerImage+":"+tag, "-o", archive))
	p.Import(t, archive)
}

// command runs a command in a folder; its error holds what it said.
func command(t *testing.T, folder string, environment []string, name string, arguments ...string) error {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, arguments...)
	cmd.Dir, cmd.Env = folder, append(os.Environ(), environment...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w: %s", name, err, out)
	}
	return nil
}

// overlay writes an overlay as an operator does, with the image of this tag.
func (p *platform) overlay(t *testing.T, tag string) {
	t.Helper()
	deploy, err := filepath.Abs(root + "/configs/deploy")
	require.NoError(t, err)
	deploy, err = filepath.Rel(p.folder, deploy)
	require.NoError(t, err)
	for name, content := range map[string]string{
		"kustomization.yaml": fmt.Sprintf(`resources: [%s/overlays/production]
configMapGenerator:
  - {name: inner-gateway, namespace: console, behavior: replace, files: [inner.yaml]}
images:
  - {name: registry.example.com/inner-gateway, newName: %s, newTag: %q}
`, deploy, innerImage, tag),
		"inner.yaml": p.settings,
	} {
		require.NoError(t, os.WriteFile(filepath.Join(p.folder, name), []byte(content), 0o600))
	}
}

// manifests returns the objects of a folder, in the order in which they can be applied.
func manifests(t *testing.T, folder string) []*unstructured.Unstructured {
	t.Helper()
	options := krusty.MakeDefaultOptions()
	options.Reorder = krusty.ReorderOptionLegacy
	built, err := krusty.MakeKustomizer(options).Run(filesys.MakeFsOnDisk(), folder)
	require.NoError(t, err)
	var all []*unstructured.Unstructured
	for _, r := range built.Resources() {
		content, err := r.MarshalJSON()
		require.NoError(t, err)
		u := &unstructured.Unstructured{}
		require.NoError(t, u.UnmarshalJSON(content))
		all = append(all, u)
	}
	return all
}

// apply does what kubectl apply --server-side does.
func (p *platform) apply(t *testing.T, all []*unstructured.Unstructured) {
	t.Helper()
	groups, err := restmapper.GetAPIGroupResources(p.Kubernetes.Discovery())
	require.NoError(t, err)
	mapper := restmapper.NewDiscoveryRESTMapper(groups)
	for _, u := range all {
		kind := u.GroupVersionKind()
		mapping, err := mapper.RESTMapping(kind.GroupKind(), kind.Version)
		require.NoError(t, err)
		var resource dynamic.ResourceInterface = p.Dynamic.Resource(mapping.Resource)
		if mapping.Scope.Name() == meta.RESTScopeNameNamespace {
			resource = p.Dynamic.Resource(mapping.Resource).Namespace(u.GetNamespace())
		}
		_, err = resource.Apply(t.Context(), u.GetName(), u, metav1.ApplyOptions{FieldManager: "kubectl", Force: true})
		require.NoError(t, err, "%s %s", u.GetKind(), u.GetName())
	}
}

// role makes the platform's database and Inner's role in it, and returns the role's address.
func (p *platform) role(t *testing.T) string {
	t.Helper()
	admin, err := sql.Open("postgres", p.DSN)
	require.NoError(t, err)
	defer func() { require.NoError(t, admin.Close()) }()
	password := rand.Text()
	for _, statement := range []string{`CREATE DATABASE platform`, `CREATE ROLE inner_gateway LOGIN PASSWORD '` + password + `'`} {
		_, err := admin.ExecContext(t.Context(), statement)
		require.NoError(t, err)
	}
	dsn, err := url.Parse(p.DSN)
	require.NoError(t, err)
	dsn.Path = "/platform"
	p.db, err = sql.Open("postgres", dsn.String())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, p.db.Close()) })
	_, err = p.db.ExecContext(t.Context(), `GRANT CREATE ON SCHEMA public TO inner_gateway`)
	require.NoError(t, err)
	dsn.User = url.UserPassword("inner_gateway", password)
	return dsn.String()
}

// secrets makes Inner's Secret, and the certificate of the workers' names.
func (p *platform) secrets(t *testing.T, dsn string) {
	t.Helper()
	key := make([]byte, 32)
	_, err := rand.Read(key)
	require.NoError(t, err)
	certificate, private, err := certificate.SelfSigned("workers", "*.worker."+domain)
	require.NoError(t, err)
	for _, secret := range []*corev1.Secret{
		{
			ObjectMeta: metav1.ObjectMeta{Name: "inner-gateway", Namespace: "console"},
			StringData: map[string]string{"database-dsn": dsn, "encryption-keys": base64.StdEncoding.EncodeToString(key)},
		},
		{
			ObjectMeta: metav1.ObjectMeta{Name: "worker-tls", Namespace: "ingress"},
			Type:       corev1.SecretTypeTLS,
			Data:       map[string][]byte{corev1.TLSCertKey: certificate, corev1.TLSPrivateKeyKey: private},
		},
	} {
		_, err := p.Kubernetes.CoreV1().Secrets(secret.Namespace).Create(t.Context(), secret, metav1.CreateOptions{})
		require.NoError(t, err)
	}
}

// awaitInner waits until the Deployment is rolled out, as kubectl rollout status does.
func (p *platform) awaitInner(t *testing.T) {
	t.Helper()
	text := ""
	ok := waitFor(t.Context(), func(ctx context.Context) bool {
		d, err := p.Kubernetes.AppsV1().Deployments("console").Get(ctx, "inner-gateway", metav1.GetOptions{})
		if err != nil {
			return false
		}
		text = fmt.Sprintf("%+v", d.Status)
		return d.Status.ObservedGeneration == d.Generation && d.Status.UpdatedReplicas == *d.Spec.Replicas &&
			d.Status.AvailableReplicas == *d.Spec.Replicas && d.Status.Replicas == *d.Spec.Replicas
	})
	require.True(t, ok, "Inner is not rolled out: %s\n%s", text, p.podStates(t))
}

// podStates describes the pods of Inner, for a failure's message.
func (p *platform) podStates(t *testing.T) (text string) {
	t.Helper()
	pods, err := p.Kubernetes.CoreV1().Pods("console").List(context.WithoutCancel(t.Context()), metav1.ListOptions{})
	require.NoError(t, err)
	lines := int64(40)
	for _, pod := range pods.Items {
		text += fmt.Sprintf("%s %s\n", pod.Name, pod.Status.Phase)
		for _, c := range append(pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses...) {
			log, err := p.Kubernetes.CoreV1().Pods("console").GetLogs(pod.Name,
				&corev1.PodLogOptions{Container: c.Name, TailLines: &lines}).DoRaw(context.WithoutCancel(t.Context()))
			text += fmt.Sprintf("%s: %+v\n%s %v\n", c.Name, c.State, log, err)
		}
	}
	return text
}

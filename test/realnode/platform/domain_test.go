package platform_test

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"net"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"

	"app238.com/inner/test/realnode/network"
)

// testDomain has a worker served under a custom domain, whose request comes through the ingress twice.
func testDomain(t *testing.T, p *platform) {
	k := p.worker(t, "custom", 1)
	p.awaitVersion(t, p.deploy(t, k, "1", 8080), "success")
	_, err := p.db.ExecContext(t.Context(), `INSERT INTO custom_domains (cdid, user_uid, domain, target, txt_name, txt_value, status)
		VALUES ('0a1b2c3d', 'u1', 'shop.test', $1, '_combinator-verify.shop.test', 'combinator-verify=0123456789abcdef0123456789abcdef', 'pending')`, k.host())
	require.NoError(t, err)
	p.createIssuer(t)

	var request struct {
		Host    string
		Headers map[string][]string
	}
	c := network.Visitor(asking, false)
	require.Eventually(t, func() bool { return p.certified(t, "shop.test", "custom-domain-tls-0a1b2c3d") == nil }, limit, tick,
		"the ingress does not show the certificate that the issuer signed")
	require.Eventually(t, func() bool {
		answer, err := network.Visit(t.Context(), c, "shop.test", "/request")
		return err == nil && json.Unmarshal([]byte(answer), &request) == nil
	}, limit, tick, "the domain is not served")
	require.Equal(t, []string{"shop.test"}, request.Headers["X-Forwarded-Host"])
	require.Equal(t, k.host(), strings.TrimSuffix(request.Host, ":443"))
	require.Equal(t, []string{"https"}, request.Headers["X-Forwarded-Proto"])
	require.True(t, strings.HasPrefix(strings.Join(request.Headers["X-Forwarded-For"], ", "), network.Internet), "%v",
		request.Headers["X-Forwarded-For"])

	_, err = p.db.ExecContext(t.Context(), `DELETE FROM custom_domains`)
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		_, signed := p.certManager("certificates").Namespace("ingress").Get(t.Context(), "custom-domain-0a1b2c3d", metav1.GetOptions{})
		_, secret := p.Kubernetes.CoreV1().Secrets("ingress").Get(t.Context(), "custom-domain-tls-0a1b2c3d", metav1.GetOptions{})
		return !strings.Contains(routers(t), "custom-domain-0a1b2c3d") && apierrors.IsNotFound(secret) && apierrors.IsNotFound(signed)
	}, limit, tick, "the ingress has a router, or the certificate is left")
	_, err = network.Visit(t.Context(), c, "shop.test", "/")
	require.ErrorContains(t, err, "404")
}

func (p *platform) certManager(resource string) dynamic.NamespaceableResourceInterface {
	return p.Dynamic.Resource(schema.GroupVersionResource{Group: "cert-manager.io", Version: "v1", Resource: resource})
}

// createIssuer makes the issuer that Inner's configuration names by default. It signs every certificate with that one's own key.
func (p *platform) createIssuer(t *testing.T) {
	t.Helper()
	issuer := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "cert-manager.io/v1", "kind": "ClusterIssuer", "metadata": map[string]any{"name": "zerossl-issuer"},
		"spec": map[string]any{"selfSigned": map[string]any{}},
	}}
	_, err := p.certManager("clusterissuers").Create(t.Context(), issuer, metav1.CreateOptions{})
	require.NoError(t, err)
}

// certified returns nil if the ingress shows a certificate for the host that is the one of the Secret.
func (p *platform) certified(t *testing.T, host, secret string) error {
	t.Helper()
	signed, err := p.Kubernetes.CoreV1().Secrets("ingress").Get(t.Context(), secret, metav1.GetOptions{})
	if err != nil {
		return err
	}
	trusted := x509.NewCertPool()
	if !trusted.AppendCertsFromPEM(signed.Data[corev1.TLSCertKey]) {
		return errors.New("the Secret holds no certificate")
	}
	dialer := tls.Dialer{Config: &tls.Config{RootCAs: trusted, ServerName: host}}
	connection, err := dialer.DialContext(t.Context(), "tcp", net.JoinHostPort(network.Internet, asking))
	if err != nil {
		return err
	}
	return connection.Close()
}

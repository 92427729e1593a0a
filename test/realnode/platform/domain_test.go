package platform_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"app238.com/inner/test/realnode/network"
	"app238.com/inner/test/stack/certificate"
)

// testDomain has a worker served under a custom domain, whose request comes through the ingress twice.
func testDomain(t *testing.T, p *platform) {
	k := p.worker(t, "custom", 1)
	p.awaitVersion(t, p.deploy(t, k, "1", 8080), "success")
	_, err := p.db.ExecContext(t.Context(), `INSERT INTO custom_domains (cdid, user_uid, domain, target, txt_name, txt_value, status)
		VALUES ('0a1b2c3d', 'u1', 'shop.test', $1, '_combinator-verify.shop.test', 'combinator-verify=0123456789abcdef0123456789abcdef', 'pending')`, k.host())
	require.NoError(t, err)
	chain, key, err := certificate.SelfSigned("shop", "shop.test")
	require.NoError(t, err)
	_, err = p.Kubernetes.CoreV1().Secrets("ingress").Create(t.Context(), &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: "custom-domain-tls-0a1b2c3d"}, Type: corev1.SecretTypeTLS,
		Data: map[string][]byte{corev1.TLSCertKey: chain, corev1.TLSPrivateKeyKey: key},
	}, metav1.CreateOptions{})
	require.NoError(t, err)

	var request struct {
		Host    string
		Headers map[string][]string
	}
	c := network.Visitor(asking, false)
	require.Eventually(t, func() bool {
		answer, err := network.Visit(t.Context(), c, "shop.test", "/request")
		return err == nil && json.Unmarshal([]byte(answer), &request) == nil
	}, limit, tick, "the domain is not served")
	require.Equal(t, []string{"shop.test"}, request.Headers["X-Forwarded-Host"])
	require.Equal(t, k.host(), strings.TrimSuffix(request.Host, ":443"))
	require.Equal(t, []string{"https"}, request.Headers["X-Forwarded-Proto"])
	require.True(t, strings.HasPrefix(strings.Join(request.Headers["X-Forwarded-For"], ", "), network.Internet), "%v", request.Headers["X-Forwarded-For"])

	_, err = p.db.ExecContext(t.Context(), `DELETE FROM custom_domains`)
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		_, secret := p.Kubernetes.CoreV1().Secrets("ingress").Get(t.Context(), "custom-domain-tls-0a1b2c3d", metav1.GetOptions{})
		return !strings.Contains(routers(t), "custom-domain-0a1b2c3d") && secret != nil
	}, limit, tick, "the ingress has a router, or the certificate is left")
	_, err = network.Visit(t.Context(), c, "shop.test", "/")
	require.ErrorContains(t, err, "404")
}

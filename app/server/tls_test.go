package server_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"app238.com/inner/app/config"
	"app238.com/inner/app/server"
)

// authority signs certificates.
type authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority"}, NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	encoded, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	certificate, err := x509.ParseCertificate(encoded)
	require.NoError(t, err)
	return authority{certificate, key}
}

func (a authority) pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.certificate)
	return pool
}

func (a authority) pem() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.certificate.Raw})
}

// issue returns a certificate for 127.0.0.1 and its key, both in PEM form.
func (a authority) issue(t *testing.T, name string) (certificate, key []byte) {
	t.Helper()
	own, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name}, NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	encoded, err := x509.CreateCertificate(rand.Reader, template, a.certificate, own.Public(), a.key)
	require.NoError(t, err)
	secret, err := x509.MarshalECPrivateKey(own)
	require.NoError(t, err)
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: encoded}),
		pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: secret})
}

func (a authority) pair(t *testing.T, name string) tls.Certificate {
	t.Helper()
	pair, err := tls.X509KeyPair(a.issue(t, name))
	require.NoError(t, err)
	return pair
}

// files writes a certificate named name, its key and the authority into folder.
func (a authority) files(t *testing.T, folder, name string) config.TLS {
	t.Helper()
	c := config.TLS{
		Certificate: filepath.Join(folder, "tls.crt"), Key: filepath.Join(folder, "tls.key"),
		ClientCA: filepath.Join(folder, "ca.crt"), ReloadInterval: 10 * time.Millisecond,
	}
	certificate, key := a.issue(t, name)
	for file, content := range map[string][]byte{c.Certificate: certificate, c.Key: key, c.ClientCA: a.pem()} {
		require.NoError(t, os.WriteFile(file, content, 0o600))
	}
	return c
}

// shown is the name in the certificate that a new connection is shown, or "".
func (i *instance) shown(t *testing.T) string {
	t.Helper()
	i.client.CloseIdleConnections()
	answer, err := i.client.Get(i.url + "/here")
	if err != nil {
		return ""
	}
	require.NoError(t, answer.Body.Close())
	return answer.TLS.PeerCertificates[0].Subject.CommonName
}

func TestTLSServesHTTPSAndNothingElse(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	c := a.files(t, t.TempDir(), "first")
	c.ClientCA = ""
	i := running(t, config.HTTP{TLS: c}, &tls.Config{RootCAs: a.pool()})
	require.Equal(t, "first", i.shown(t))
	require.InDelta(t, float64(time.Now().Add(time.Hour).Unix()), i.gauge(t, "inner_http_certificate_expiry_timestamp_seconds"), 60)
	plain := i.dial(t, "GET /here HTTP/1.1\r\nHost: x\r\n\r\n")
	require.NotContains(t, closed(t, plain), "200 OK")
	old := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: a.pool(), MinVersion: tls.VersionTLS10,
		MaxVersion: tls.VersionTLS11}}}
	_, err := old.Get(i.url + "/here")
	require.ErrorContains(t, err, "protocol version")
}

func TestChangedCertificatesAreReloaded(t *testing.T) {
	t.Parallel()
	a, folder := newAuthority(t), t.TempDir()
	c := a.files(t, folder, "first")
	i := running(t, config.HTTP{TLS: c}, &tls.Config{RootCAs: a.pool(), Certificates: []tls.Certificate{a.pair(t, "client")}})
	require.Equal(t, "first", i.shown(t))
	require.NoError(t, os.WriteFile(c.Key, []byte("half written"), 0o600))
	require.Eventually(t, func() bool { return i.counter(t, "inner_http_certificate_reload_failures_total") > 0 }, timeout,
		5*time.Millisecond)
	require.Equal(t, "first", i.shown(t), "what cannot be read leaves the old certificate in use")
	a.files(t, folder, "second")
	require.Eventually(t, func() bool { return i.shown(t) == "second" }, timeout, 10*time.Millisecond)
}

func TestClientCertificateIsRequiredExceptForProbes(t *testing.T) {
	t.Parallel()
	a, stranger := newAuthority(t), newAuthority(t)
	folder := t.TempDir()
	with := func(certificates ...tls.Certificate) *tls.Config {
		return &tls.Config{RootCAs: a.pool(), Certificates: certificates}
	}
	i := running(t, config.HTTP{TLS: a.files(t, folder, "server")}, with(a.pair(t, "client")))
	require.Equal(t, http.StatusOK, i.get(t, "/here"))
	use := func(c *tls.Config) {
		transport := &http.Transport{TLSClientConfig: c}
		t.Cleanup(transport.CloseIdleConnections)
		i.client = &http.Client{Transport: transport, Timeout: timeout}
	}
	use(with())
	require.Equal(t, http.StatusForbidden, i.get(t, "/here"))
	require.Equal(t, http.StatusOK, i.get(t, "/probe"))
	forged := stranger.pair(t, "client")
	use(&tls.Config{RootCAs: a.pool(),
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &forged, nil }})
	_, err := i.client.Get(i.url + "/here")
	require.Error(t, err)
	// The authority changes: who was served is a stranger from now on.
	require.NoError(t, os.WriteFile(filepath.Join(folder, "ca.crt"), stranger.pem(), 0o600))
	require.Eventually(t, func() bool {
		i.client.CloseIdleConnections()
		answer, err := i.client.Get(i.url + "/here")
		if err != nil {
			return false
		}
		require.NoError(t, answer.Body.Close())
		return answer.StatusCode == http.StatusOK
	}, timeout, 10*time.Millisecond)
}

func TestServerWithInvalidCertificateDoesNotStart(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	for want, spoil := range map[string]func(c *config.TLS){
		"http.tls.certificate": func(c *config.TLS) { c.Certificate += ".missing" },
		"http.tls.key":         func(c *config.TLS) { c.Key = c.Certificate },
		"http.tls.clientCA":    func(c *config.TLS) { c.ClientCA = c.Key },
	} {
		c := a.files(t, t.TempDir(), "server")
		spoil(&c)
		m, err := server.NewMetrics(prometheus.NewRegistry())
		require.NoError(t, err)
		s := server.New(&config.Config{HTTP: config.HTTP{Listen: "127.0.0.1:0", TLS: c}}, zap.NewNop(), m, nil)
		require.ErrorContains(t, s.Start(t.Context()), want)
	}
}

package controlplane

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// validity is how long the certificate lasts; nobody keeps such a cluster for longer.
const validity = 30 * 24 * time.Hour

// credentials are what the programs and their clients prove themselves with, made anew for each cluster.
type credentials struct {
	certificate []byte // of the API server, its own authority, as PEM
	token       string // of the administrator

	certificateFile string
	keyFile         string
	kubeconfig      string
	tokenFile       string
}

func newCredentials(dir, address string) (*credentials, error) {
	certificate, key, err := selfSigned()
	if err != nil {
		return nil, fmt.Errorf("make a certificate: %w", err)
	}
	c := &credentials{
		certificate:     certificate,
		certificateFile: filepath.Join(dir, "apiserver.crt"),
		keyFile:         filepath.Join(dir, "apiserver.key"),
		kubeconfig:      filepath.Join(dir, "kubeconfig"),
		token:           rand.Text(),
		tokenFile:       filepath.Join(dir, "tokens.csv"),
	}
	for path, content := range map[string][]byte{
		c.certificateFile: certificate,
		c.keyFile:         key,
		c.kubeconfig:      c.kubeconfigContent(address),
		c.tokenFile:       []byte(c.token + ",admin,admin,system:masters\n"),
	} {
		if err := os.WriteFile(path, content, 0o600); err != nil {
			return nil, fmt.Errorf("write credentials: %w", err)
		}
	}
	return c, nil
}

func (c *credentials) kubeconfigContent(address string) []byte {
	var out bytes.Buffer
	fmt.Fprintf(&out, `apiVersion: v1
kind: Config
clusters:
- name: test
  cluster:
    server: %s
    certificate-authority-data: %s
users:
- name: admin
  user:
    token: %s
contexts:
- name: test
  context: {cluster: test, user: admin}
current-context: test
`, address, base64.StdEncoding.EncodeToString(c.certificate), c.token)
	return out.Bytes()
}

// selfSigned makes a loopback server's certificate and key, both as PEM. The API server signs service accounts'
// tokens with the same key.
func selfSigned() (certificate, key []byte, err error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	now := time.Now()
	template := &x509.Certificate{
		BasicConstraintsValid: true,
		DNSNames:              []string{"localhost"},
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		IPAddresses:           []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA:                  true,
		KeyUsage:              x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		NotAfter:              now.Add(validity),
		NotBefore:             now.Add(-time.Hour),
		SerialNumber:          big.NewInt(1),
		Subject:               pkix.Name{CommonName: "kube-apiserver"},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		return nil, nil, err
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return nil, nil, err
	}
	certificate = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	key = pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})
	return certificate, key, nil
}

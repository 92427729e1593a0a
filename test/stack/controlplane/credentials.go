package controlplane

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"

	"app238.com/inner/test/stack/certificate"
)

// credentials are what the programs and their clients prove themselves with, made anew for each cluster.
type credentials struct {
	certificate []byte // of the API server, its own authority, as PEM
	token       string // of the administrator

	certificateFile string
	keyFile         string
	kubeconfig      string
	tokenFile       string
}

func newCredentials(dir, address string, hosts []string) (*credentials, error) {
	// The API server signs service accounts' tokens with the same key.
	certificate, key, err := certificate.SelfSigned("kube-apiserver", hosts...)
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

package app

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net/http"
	"os"
	"strings"

	"app238.com/inner/app/config"
)

// newStatusClient returns a client for the running Inner Gateway at url. It trusts the system's authorities and the configured
// certificate, which an Inner Gateway on the same machine presents when it is reached by its address.
func newStatusClient(c *config.Config, url string) (*http.Client, error) {
	settings := &tls.Config{MinVersion: tls.VersionTLS12}
	if c.HTTP.TLS.Enabled() {
		content, err := os.ReadFile(c.HTTP.TLS.Certificate)
		if err != nil {
			return nil, fmt.Errorf("http.tls.certificate: %w", err)
		}
		if settings.RootCAs, err = x509.SystemCertPool(); err != nil {
			settings.RootCAs = x509.NewCertPool()
		}
		settings.RootCAs.AppendCertsFromPEM(content)
		if url == LocalURL(c) {
			settings.ServerName = certificateName(content)
		}
	}
	return &http.Client{Timeout: statusTimeout, Transport: &http.Transport{TLSClientConfig: settings, DisableKeepAlives: true}}, nil
}

// certificateName returns a name of the first certificate in a PEM file, "" for none.
func certificateName(content []byte) string {
	block, _ := pem.Decode(content)
	if block == nil {
		return ""
	}
	certificate, err := x509.ParseCertificate(block.Bytes)
	switch {
	case err != nil:
		return ""
	case len(certificate.DNSNames) > 0:
		return strings.Replace(certificate.DNSNames[0], "*", "any", 1)
	case len(certificate.IPAddresses) > 0:
		return certificate.IPAddresses[0].String()
	}
	return ""
}

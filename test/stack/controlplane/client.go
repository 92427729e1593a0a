package controlplane

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"
)

const (
	// fieldManager is who the objects that this package writes belong to.
	fieldManager = "inner-test-stack"

	requestLimit = 10 * time.Second
	answerLimit  = 16 << 20
)

// client speaks to the API server with nothing but HTTP.
type client struct {
	address string
	http    *http.Client
	token   string
}

func newClient(address string, c *credentials) (*client, error) {
	authorities := x509.NewCertPool()
	if !authorities.AppendCertsFromPEM(c.certificate) {
		return nil, errors.New("read the API server's certificate")
	}
	transport := &http.Transport{
		ForceAttemptHTTP2: true,
		TLSClientConfig:   &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: authorities},
	}
	return &client{address: address, http: &http.Client{Timeout: requestLimit, Transport: transport}, token: c.token}, nil
}

// get reads the object at path into out, unless that is nil.
func (c *client) get(ctx context.Context, path string, out any) error {
	data, err := c.do(ctx, http.MethodGet, path, "", nil)
	if err != nil || out == nil {
		return err
	}
	if err := json.Unmarshal(data, out); err != nil {
		return fmt.Errorf("GET %s: read the answer: %w", path, err)
	}
	return nil
}

// apply makes the object at path be as manifest says, which may be YAML.
func (c *client) apply(ctx context.Context, path string, manifest []byte) error {
	query := url.Values{"fieldManager": {fieldManager}, "force": {"true"}}
	_, err := c.do(ctx, http.MethodPatch, path+"?"+query.Encode(), "application/apply-patch+yaml", manifest)
	return err
}

func (c *client) do(ctx context.Context, method, path, contentType string, body []byte) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, method, c.address+path, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", method, path, err)
	}
	request.Header.Set("Accept", "application/json")
	request.Header.Set("Authorization", "Bearer "+c.token)
	if contentType != "" {
		request.Header.Set("Content-Type", contentType)
	}
	response, err := c.http.Do(request)
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", method, path, err)
	}
	defer func() { _ = response.Body.Close() }()
	answer, err := io.ReadAll(io.LimitReader(response.Body, answerLimit))
	if err != nil {
		return nil, fmt.Errorf("%s %s: read the answer: %w", method, path, err)
	}
	if response.StatusCode >= http.StatusMultipleChoices {
		return nil, fmt.Errorf("%s %s: %s: %s", method, path, response.Status, answer)
	}
	return answer, nil
}

func (c *client) close() {
	c.http.CloseIdleConnections()
}

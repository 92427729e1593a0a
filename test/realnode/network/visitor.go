package network

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
)

const (
	// visitLimit is far more than a request takes on a busy machine.
	visitLimit = 15 * time.Second
	// answerLimit bounds what is read of an answer, in bytes.
	answerLimit = 1 << 20
)

// Visitor returns a client that reaches every host at the ingress on this port of the Internet's address, as users do. It takes
// every certificate: those of the tests are nobody's.
func Visitor(port string, keepAlive bool) *http.Client {
	dialer := net.Dialer{Timeout: 5 * time.Second}
	return &http.Client{Timeout: visitLimit, Transport: &http.Transport{
		DisableKeepAlives:   !keepAlive,
		MaxIdleConnsPerHost: 8,
		TLSClientConfig:     &tls.Config{InsecureSkipVerify: true},
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return dialer.DialContext(ctx, "tcp", net.JoinHostPort(Internet, port))
		},
	}}
}

// Visit asks a host for a path and returns the answer without the space around it. Any status but 200 is an error that begins
// with it.
func Visit(ctx context.Context, visitor *http.Client, host, path string) (string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+host+path, nil)
	if err != nil {
		return "", err
	}
	response, err := visitor.Do(request)
	if err != nil {
		return "", err
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(response.Body, answerLimit))
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %.100s", response.Status, body)
	}
	return strings.TrimSpace(string(body)), err
}

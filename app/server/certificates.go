package server

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"app238.com/inner/app/config"
	"app238.com/inner/app/logging"
)

// certificates holds the server's certificate and the authority of client certificates as last loaded from the files. Files are
// compared by content: a mounted Secret changes behind symbolic links.
type certificates struct {
	config  config.TLS
	log     *zap.Logger
	metrics *Metrics

	current atomic.Pointer[tls.Config]
	loaded  [sha256.Size]byte
	cancel  context.CancelFunc
	watch   sync.WaitGroup
}

func newCertificates(c config.TLS, m *Metrics, log *zap.Logger) *certificates {
	return &certificates{config: c, log: log, metrics: m}
}

// start loads the files and begins to watch them. It returns nil without TLS.
func (c *certificates) start() (*tls.Config, error) {
	if !c.config.Enabled() {
		return nil, nil
	}
	if _, err := c.load(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	c.cancel = cancel
	c.watch.Go(func() { c.reload(ctx) })
	return &tls.Config{
		MinVersion:         tls.VersionTLS12,
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return c.current.Load(), nil },
	}, nil
}

// stop stops the watch.
func (c *certificates) stop() {
	if c.cancel != nil {
		c.cancel()
		c.watch.Wait()
	}
}

func (c *certificates) reload(ctx context.Context) {
	ticker := time.NewTicker(c.config.ReloadInterval)
	defer ticker.Stop()
	lastError := ""
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		changed, err := c.load()
		switch {
		case err != nil:
			c.metrics.reloadFailed()
			// Logged once for each reason, not at every interval.
			if err.Error() != lastError {
				c.log.Error("certificate reload failed", logging.Error(err))
			}
			lastError = err.Error()
			continue
		case changed:
			c.log.Info("certificates reloaded")
		}
		lastError = ""
	}
}

// load reads the files and applies their content if it has changed.
func (c *certificates) load() (changed bool, err error) {
	certificate, err := os.ReadFile(c.config.Certificate)
	if err != nil {
		return false, fmt.Errorf("http.tls.certificate: %w", err)
	}
	key, err := os.ReadFile(c.config.Key)
	if err != nil {
		return false, fmt.Errorf("http.tls.key: %w", err)
	}
	var authority []byte
	if c.config.ClientCA != "" {
		if authority, err = os.ReadFile(c.config.ClientCA); err != nil {
			return false, fmt.Errorf("http.tls.clientCA: %w", err)
		}
	}
	sum := sha256.Sum256(bytes.Join([][]byte{certificate, key, authority}, []byte{0}))
	if sum == c.loaded {
		return false, nil
	}
	made, err := c.make(certificate, key, authority)
	if err != nil {
		return false, err
	}
	c.current.Store(made)
	c.loaded = sum
	return true, nil
}

func (c *certificates) make(certificate, key, authority []byte) (*tls.Config, error) {
	pair, err := tls.X509KeyPair(certificate, key)
	if err != nil {
		// The library's error contains nothing of the key.
		return nil, fmt.Errorf("http.tls.certificate and http.tls.key: %w", err)
	}
	made := &tls.Config{
		MinVersion:   tls.VersionTLS12,
		NextProtos:   []string{"http/1.1"},
		Certificates: []tls.Certificate{pair},
	}
	if c.config.ClientCA != "" {
		made.ClientCAs = x509.NewCertPool()
		if !made.ClientCAs.AppendCertsFromPEM(authority) {
			return nil, errors.New("http.tls.clientCA: holds no certificate in PEM form")
		}
		// Certificates are required route by route, because probes cannot present one. Sessions are not resumed, so that a
		// changed authority applies to every new connection.
		made.ClientAuth, made.SessionTicketsDisabled = tls.VerifyClientCertIfGiven, true
	}
	c.metrics.certificate(pair.Leaf.NotAfter)
	return made, nil
}

// requireCertificate refuses clients without a certificate of the configured authority.
func requireCertificate(next http.Handler, log *zap.Logger) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.TLS == nil || len(r.TLS.VerifiedChains) == 0 {
			writeError(w, r, &Error{Status: http.StatusForbidden, Text: "a client certificate is required"}, log)
			return
		}
		next.ServeHTTP(w, r)
	})
}

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

// certificates holds the certificate that is shown and the authority of the clients' ones, as the files had them when they
// were last read well. The files are compared by content: a mounted Secret changes behind symbolic links.
type certificates struct {
	config  config.TLS
	log     *zap.Logger
	metrics *Metrics

	current atomic.Pointer[tls.Config]
	seen    [sha256.Size]byte
	cancel  context.CancelFunc
	watch   sync.WaitGroup
}

func newCertificates(c config.TLS, m *Metrics, log *zap.Logger) *certificates {
	return &certificates{config: c, log: log, metrics: m}
}

// start reads the files and watches them from then on. It returns nil where the interface is not encrypted.
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

// stop ends what start began.
func (c *certificates) stop() {
	if c.cancel != nil {
		c.cancel()
		c.watch.Wait()
	}
}

func (c *certificates) reload(ctx context.Context) {
	ticker := time.NewTicker(c.config.ReloadInterval)
	defer ticker.Stop()
	told := ""
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
			// Once for each reason: what is wrong with a file stays so for many intervals.
			if err.Error() != told {
				c.log.Error("certificates could not be read again; the old ones stay in use", logging.Error(err))
			}
			told = err.Error()
			continue
		case changed:
			c.log.Info("certificates changed")
		}
		told = ""
	}
}

// load puts what the files hold to use if it differs from what is in use.
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
	if sum == c.seen {
		return false, nil
	}
	made, err := c.make(certificate, key, authority)
	if err != nil {
		return false, err
	}
	c.current.Store(made)
	c.seen = sum
	return true, nil
}

func (c *certificates) make(certificate, key, authority []byte) (*tls.Config, error) {
	pair, err := tls.X509KeyPair(certificate, key)
	if err != nil {
		// The library's text names what is wrong and repeats nothing of the key.
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
		// Who shows none is refused route by route, because probes cannot show one. Sessions are not resumed, so that a
		// changed authority holds for every new connection.
		made.ClientAuth, made.SessionTicketsDisabled = tls.VerifyClientCertIfGiven, true
	}
	c.metrics.certificate(pair.Leaf.NotAfter)
	return made, nil
}

// requireCertificate refuses clients that did not show a certificate of the configured authority.
func requireCertificate(next http.Handler, log *zap.Logger) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.TLS == nil || len(r.TLS.VerifiedChains) == 0 {
			writeError(w, r, &Error{Status: http.StatusForbidden, Text: "a client certificate is required"}, log)
			return
		}
		next.ServeHTTP(w, r)
	})
}

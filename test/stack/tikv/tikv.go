// Package tikv runs throw-away TiKV clusters over the network: a real placement driver (PD) and one TiKV server.
package tikv

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"

	"app238.com/inner/test/stack/build"
	"app238.com/inner/test/stack/certificate"
	"app238.com/inner/test/stack/ports"
	"app238.com/inner/test/stack/process"
	"app238.com/inner/test/stack/workdir"
)

const (
	readyPoll = 50 * time.Millisecond
	// startLimit is far more than a slow machine needs, so that a hanging program becomes an error.
	startLimit   = 2 * time.Minute
	requestLimit = 2 * time.Second
	stopGrace    = 10 * time.Second
)

// Options says how the cluster is to be.
type Options struct {
	// Log receives progress of a build; standard error unless set.
	Log io.Writer
	// TLS has both programs ask clients for a certificate, and show one; see Certificate.
	TLS bool
}

// Cluster is a placement driver and a store. Its methods may be called from several goroutines.
type Cluster struct {
	// PD is asked without TLS too, by the store, which knows none.
	clientPort, plainPort, peerPort, storePort int
	secured                                    bool
	dir                                        *workdir.Dir
	http                                       *http.Client
	programs                                   build.TiKVPrograms

	mu         sync.Mutex
	pd, server *process.Process // nil while stopped
}

// Start makes a new cluster and returns when it takes transactions.
func Start(ctx context.Context, opts Options) (*Cluster, error) {
	programs, err := build.TiKV(ctx, build.Options{Log: opts.Log})
	if err != nil {
		return nil, err
	}
	free, err := ports.Free(ctx, 4)
	if err != nil {
		return nil, err
	}
	dir, err := workdir.New()
	if err != nil {
		return nil, err
	}
	c := &Cluster{
		clientPort: free[0], plainPort: free[0], peerPort: free[1], storePort: free[2], secured: opts.TLS,
		dir: dir, http: &http.Client{Timeout: requestLimit, Transport: &http.Transport{}}, programs: programs,
	}
	if c.secured {
		c.plainPort = free[3]
		if err := c.makeCertificate(); err != nil {
			return nil, errors.Join(err, c.Close())
		}
	}
	if err := c.Restart(ctx); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

// Endpoint is PD's address, host:port, the same after each restart.
func (c *Cluster) Endpoint() string { return address(c.clientPort) }

// Certificate returns the files of the certificate and its key that servers and clients show each other where there is TLS. The
// certificate is its own authority.
func (c *Cluster) Certificate() (certificate, key string) {
	return filepath.Join(c.dir.Path(), "tls.crt"), filepath.Join(c.dir.Path(), "tls.key")
}

func (c *Cluster) makeCertificate() error {
	certificate, key, err := certificate.SelfSigned("tikv")
	if err != nil {
		return err
	}
	certificateFile, keyFile := c.Certificate()
	return errors.Join(os.WriteFile(certificateFile, certificate, 0o600), os.WriteFile(keyFile, key, 0o600))
}

func address(port int) string { return fmt.Sprintf("127.0.0.1:%d", port) }

// Restart starts what Stop has ended, on the same ports and data, and returns when it takes transactions.
func (c *Cluster) Restart(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	if err := c.Stop(ctx); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	var err error
	if c.pd, err = process.Start(c.spec("pd", c.programs.PlacementDriver, c.driverArguments())); err != nil {
		return err
	}
	if err := c.pd.Await(ctx, readyPoll, c.driverReady); err != nil {
		return err
	}
	if c.server, err = process.Start(c.spec("store", c.programs.Store, c.storeArguments())); err != nil {
		return err
	}
	return c.server.Await(ctx, readyPoll, c.storeReady)
}

// Stop ends both programs in good order. What was written is there after Restart.
func (c *Cluster) Stop(ctx context.Context) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	var failures []error
	for _, p := range []**process.Process{&c.server, &c.pd} {
		if *p != nil {
			failures = append(failures, (*p).Stop(ctx, stopGrace))
			*p = nil
		}
	}
	return errors.Join(failures...)
}

// Close ends the cluster and removes its data.
func (c *Cluster) Close() error {
	c.http.CloseIdleConnections()
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, p := range []**process.Process{&c.server, &c.pd} {
		if *p != nil {
			(*p).Kill()
			*p = nil
		}
	}
	return c.dir.Close()
}

func (c *Cluster) spec(name, program string, arguments []string) process.Spec {
	dir := c.dir.Path()
	return process.Spec{
		Args: arguments,
		Dir:  dir,
		Env: []string{
			"HOME=" + dir, "PATH=" + os.Getenv("PATH"), "TMPDIR=" + dir,
			// PD registers patterns that Go's present multiplexer refuses.
			"GODEBUG=httpmuxgo121=1",
		},
		LogFile: filepath.Join(dir, name+".log"),
		Name:    name,
		Path:    program,
	}
}

func (c *Cluster) driverArguments() []string {
	urls := "http://" + address(c.plainPort)
	var secured []string
	if c.secured {
		certificate, key := c.Certificate()
		urls += ",https://" + c.Endpoint()
		secured = []string{"--cacert=" + certificate, "--cert=" + certificate, "--key=" + key}
	}
	return append([]string{
		"--name=pd",
		"--data-dir=" + filepath.Join(c.dir.Path(), "pd"),
		"--client-urls=" + urls,
		"--advertise-client-urls=" + urls,
		"--peer-urls=http://" + address(c.peerPort),
		"--advertise-peer-urls=http://" + address(c.peerPort),
		"--initial-cluster=pd=http://" + address(c.peerPort),
		"-L=warn",
	}, secured...)
}

func (c *Cluster) storeArguments() []string {
	arguments := []string{"-addr=" + address(c.storePort), "-data=" + filepath.Join(c.dir.Path(), "store"), "-pd=" +
		address(c.plainPort)}
	if c.secured {
		certificate, key := c.Certificate()
		arguments = append(arguments, "-cert="+certificate, "-key="+key)
	}
	return arguments
}

// driverReady tells whether PD has a leader, which is itself.
func (c *Cluster) driverReady(ctx context.Context) error {
	var leader struct {
		Name string `json:"name"`
	}
	if err := c.get(ctx, "/pd/api/v1/leader", &leader); err != nil {
		return err
	}
	if leader.Name == "" {
		return errors.New("no leader")
	}
	return nil
}

// storeReady reports whether the store serves, and has reported its regions to PD: PD itself remembers them from before a
// restart.
func (c *Cluster) storeReady(ctx context.Context) error {
	var regions struct {
		Count int `json:"count"`
	}
	if err := c.get(ctx, "/pd/api/v1/regions", &regions); err != nil {
		return err
	}
	if regions.Count == 0 {
		return errors.New("no region")
	}
	return c.storeServes(ctx)
}

// storeServes asks as TiKV's clients do.
func (c *Cluster) storeServes(ctx context.Context) error {
	transport := insecure.NewCredentials()
	if c.secured {
		own, err := tls.LoadX509KeyPair(c.Certificate())
		if err != nil {
			return err
		}
		authority := x509.NewCertPool()
		authority.AddCert(own.Leaf)
		transport = credentials.NewTLS(&tls.Config{Certificates: []tls.Certificate{own}, RootCAs: authority,
			MinVersion: tls.VersionTLS12})
	}
	conn, err := grpc.NewClient(address(c.storePort), grpc.WithTransportCredentials(transport))
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	ctx, cancel := context.WithTimeout(ctx, requestLimit)
	defer cancel()
	answer, err := grpc_health_v1.NewHealthClient(conn).Check(ctx, &grpc_health_v1.HealthCheckRequest{})
	if err == nil && answer.GetStatus() != grpc_health_v1.HealthCheckResponse_SERVING {
		err = errors.New(answer.GetStatus().String())
	}
	return err
}

func (c *Cluster) get(ctx context.Context, path string, target any) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address(c.plainPort)+path, nil)
	if err != nil {
		return err
	}
	response, err := c.http.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return errors.New(response.Status)
	}
	return json.NewDecoder(response.Body).Decode(target)
}

//go:build !darwin || cgo

package kv

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	tikvconfig "github.com/tikv/client-go/v2/config"
	"github.com/tikv/client-go/v2/testutils"
	"github.com/tikv/client-go/v2/tikv"
	pd "github.com/tikv/pd/client"
	"github.com/tikv/pd/client/opt"
	"google.golang.org/grpc"
	"google.golang.org/grpc/keepalive"

	"app238.com/inner/app/config"
)

const (
	keepaliveTime    = 10 * time.Second
	keepaliveTimeout = 3 * time.Second
)

// open connects to the configured store. The connection lasts until ctx ends or the client is closed.
func open(ctx context.Context, c config.KV) (kvClient, error) {
	if c.Embedded != "" {
		return openEmbedded(c.Embedded)
	}
	return openCluster(ctx, c)
}

// openCluster assembles the client from its parts: its own constructor reads TLS from a global variable and takes no
// context.
func openCluster(ctx context.Context, c config.KV) (kvClient, error) {
	driver, err := pd.NewClientWithContext(ctx, c.PD,
		pd.SecurityOption{CAPath: c.TLS.CA, CertPath: c.TLS.Certificate, KeyPath: c.TLS.Key},
		opt.WithCustomTimeoutOption(c.RequestTimeout),
		opt.WithGRPCDialOptions(grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: keepaliveTime, Timeout: keepaliveTimeout})))
	if err != nil {
		return nil, fmt.Errorf("connect to the placement driver: %w", err)
	}
	security := tikvconfig.NewSecurity(c.TLS.CA, c.TLS.Certificate, c.TLS.Key, nil)
	tls, err := security.ToTLSConfig()
	if err != nil {
		driver.Close()
		return nil, fmt.Errorf("combinator.kv.tls: %w", err)
	}
	// The client's health check of lost stores reads TLS from the global configuration only.
	tikvconfig.UpdateGlobal(func(global *tikvconfig.Config) { global.Security = security })
	safePoints, err := tikv.NewEtcdSafePointKV(c.PD, tls)
	if err != nil {
		driver.Close()
		return nil, fmt.Errorf("connect to the placement driver's store: %w", err)
	}
	codec := tikv.NewCodecPDClient(tikv.ModeTxn, driver)
	client := tikv.NewRPCClient(tikv.WithSecurity(security), tikv.WithCodec(codec.GetCodec()))
	opened, err := tikv.NewKVStore(fmt.Sprintf("tikv-%d", driver.GetClusterID(ctx)), codec, safePoints, client)
	if err != nil {
		driver.Close()
		return nil, errors.Join(fmt.Errorf("open the client: %w", err), safePoints.Close(), client.Close())
	}
	return newClient(opened), nil
}

// openEmbedded opens a store inside this process, with its data in a directory that it creates.
func openEmbedded(dir string) (kvClient, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("combinator.kv.embedded: %w", err)
	}
	client, cluster, driver, err := testutils.NewMockTiKV(dir, nil)
	if err != nil {
		return nil, fmt.Errorf("combinator.kv.embedded: %w", err)
	}
	testutils.BootstrapWithSingleStore(cluster)
	opened, err := tikv.NewTestTiKVStore(client, driver, nil, nil, 0)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("combinator.kv.embedded: %w", err), client.Close())
	}
	return newClient(opened), nil
}

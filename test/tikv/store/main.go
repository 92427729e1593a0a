// Command unistore is a TiKV server in Go, for tests: TiDB's unistore behind TiKV's own network interface, registered
// with a placement driver. It keeps transactions, locks and ranges as TiKV does, on one node, without Raft.
package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/pingcap/kvproto/pkg/tikvpb"
	"github.com/pingcap/tidb/pkg/store/mockstore/unistore/config"
	"github.com/pingcap/tidb/pkg/store/mockstore/unistore/pd"
	"github.com/pingcap/tidb/pkg/store/mockstore/unistore/server"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
)

// What a store of a test needs; the defaults are those of a server with gigabytes of memory.
const (
	memTableSize = 16 << 20
	logFileSize  = 64 << 20
)

func main() {
	address := flag.String("addr", "127.0.0.1:20160", "`address` to listen on, and to tell the placement driver")
	dir := flag.String("data", "", "`folder` of the data, made where missing")
	driver := flag.String("pd", "127.0.0.1:2379", "`address` of the placement driver")
	certificate := flag.String("cert", "",
		"`file` with the certificate to serve TLS with, which clients must have too; empty: no TLS")
	key := flag.String("key", "", "`file` with its key")
	flag.Parse()
	if err := run(*address, *dir, *driver, *certificate, *key); err != nil {
		fmt.Fprintln(os.Stderr, "unistore:", err)
		os.Exit(1)
	}
}

// run serves until a signal comes.
func run(address, dir, driver, certificate, key string) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	// The store makes the last folder of its path only.
	if err := os.MkdirAll(filepath.Join(dir, "kv"), 0o755); err != nil {
		return err
	}
	conf := config.DefaultConf
	conf.Server.PDAddr, conf.Server.StoreAddr, conf.Server.Raft = driver, address, false
	conf.Engine.DBPath, conf.Engine.MaxMemTableSize, conf.Engine.VlogFileSize = dir, memTableSize, logFileSize
	client, err := pd.NewClient([]string{driver}, "")
	if err != nil {
		return fmt.Errorf("reach the placement driver: %w", err)
	}
	var lc net.ListenConfig
	listener, err := lc.Listen(ctx, "tcp", address)
	if err != nil {
		return err
	}
	store, err := server.New(&conf, client)
	if err != nil {
		return fmt.Errorf("open the store: %w", err)
	}
	var options []grpc.ServerOption
	if certificate != "" {
		secured, err := withTLS(certificate, key)
		if err != nil {
			return err
		}
		options = append(options, secured)
	}
	srv := grpc.NewServer(options...)
	tikvpb.RegisterTikvServer(srv, store)
	// As TiKV has it: without it a client that once lost this store never takes it for reachable again.
	grpc_health_v1.RegisterHealthServer(srv, health.NewServer())
	ended := make(chan error, 1)
	go func() { ended <- srv.Serve(listener) }()
	select {
	case err = <-ended:
	case <-ctx.Done():
		srv.Stop() // streams of clients never end by themselves
	}
	store.Stop()
	return err
}

// withTLS has a server show a certificate, and take clients that show the same.
func withTLS(certificate, key string) (grpc.ServerOption, error) {
	pair, err := tls.LoadX509KeyPair(certificate, key)
	if err != nil {
		return nil, err
	}
	content, err := os.ReadFile(certificate)
	if err != nil {
		return nil, err
	}
	clients := x509.NewCertPool()
	if !clients.AppendCertsFromPEM(content) {
		return nil, errors.New("no certificate in " + certificate)
	}
	return grpc.Creds(credentials.NewTLS(&tls.Config{
		Certificates: []tls.Certificate{pair}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: clients,
		MinVersion: tls.VersionTLS12,
	})), nil
}

// Package stack runs the servers that the product needs, real ones: PostgreSQL, a Kubernetes control plane and TiKV.
package stack

import (
	"context"
	"errors"
	"io"

	"golang.org/x/sync/errgroup"

	"app238.com/inner/test/stack/controlplane"
	"app238.com/inner/test/stack/postgres"
	"app238.com/inner/test/stack/tikv"
)

// Environment variables that tell a command run by withstack where the servers are.
const (
	// EnvControlPlaneDir holds the folder of the control plane's logs.
	EnvControlPlaneDir = "INNER_TEST_CONTROLPLANE_DIR"
	// EnvDSN holds the superuser's address of the database postgres.
	EnvDSN = "INNER_TEST_DSN"
	// EnvKubeconfig holds the path of the administrator's kubeconfig.
	EnvKubeconfig = "INNER_TEST_KUBECONFIG"
	// EnvPD holds the address of the placement driver of a TiKV cluster, host:port.
	EnvPD = "INNER_TEST_PD"
)

// Options says how the servers are to be; its zero value fits tests.
type Options struct {
	// ControlPlane is passed on.
	ControlPlane controlplane.Options
	// Log receives progress of builds and installations; standard error unless set.
	Log io.Writer
	// Postgres is passed on.
	Postgres postgres.Options
	// TiKV is passed on.
	TiKV tikv.Options
}

// Stack is all servers, running.
type Stack struct {
	// ControlPlane is the Kubernetes cluster.
	ControlPlane *controlplane.ControlPlane
	// Postgres is the database server.
	Postgres *postgres.Server
	// TiKV is the key-value cluster.
	TiKV *tikv.Cluster
}

// Start brings the servers up and returns when all take work. The first start of a machine builds what is missing.
func Start(ctx context.Context, opts Options) (*Stack, error) {
	opts.ControlPlane.Log, opts.Postgres.Log, opts.TiKV.Log = opts.Log, opts.Log, opts.Log
	s := &Stack{}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() (err error) {
		s.ControlPlane, err = controlplane.Start(ctx, opts.ControlPlane)
		return err
	})
	group.Go(func() (err error) {
		s.Postgres, err = postgres.Start(ctx, opts.Postgres)
		return err
	})
	group.Go(func() (err error) {
		s.TiKV, err = tikv.Start(ctx, opts.TiKV)
		return err
	})
	if err := group.Wait(); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// Environment is what tells a command where the servers are, for its environment.
func (s *Stack) Environment() []string {
	return []string{
		EnvControlPlaneDir + "=" + s.ControlPlane.Dir(),
		EnvDSN + "=" + s.Postgres.DSN("postgres"),
		EnvKubeconfig + "=" + s.ControlPlane.Kubeconfig(),
		EnvPD + "=" + s.TiKV.Endpoint(),
	}
}

// Close ends the servers and removes their files.
func (s *Stack) Close() error {
	var failures [3]error
	if s.ControlPlane != nil {
		failures[0] = s.ControlPlane.Close()
	}
	if s.Postgres != nil {
		failures[1] = s.Postgres.Close()
	}
	if s.TiKV != nil {
		failures[2] = s.TiKV.Close()
	}
	return errors.Join(failures[:]...)
}

package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"golang.org/x/sync/errgroup"

	"app238.com/inner/app/config"
	"app238.com/inner/test/stack/controlplane"
	"app238.com/inner/test/stack/postgres"
)

// databaseName and tenantsName are the databases in the private server: the platform's, and that of users' schemas.
const (
	databaseName = "platform"
	tenantsName  = "tenants"
)

// servers are what Inner stands on. A server that is the user's own is nil.
type servers struct {
	cluster  *controlplane.ControlPlane
	database *postgres.Server
}

// startServers starts the private ones, writes into the configuration where they are, and builds Inner meanwhile.
func (d *demo) startServers(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	if d.opts.real {
		group.Go(func() error { return d.useNode(ctx) })
	}
	if !d.opts.givenDB && !d.opts.real {
		d.screen.step("database", "starting a private PostgreSQL")
		group.Go(func() error { return d.startDatabase(ctx) })
	}
	if !d.opts.givenKube && !d.opts.real {
		d.screen.step("cluster", "starting a private Kubernetes control plane with a simulated node")
		group.Go(func() error { return d.startCluster(ctx) })
	}
	group.Go(func() error {
		d.screen.step("inner", "building (the first build takes a few minutes, later starts reuse it)")
		if err := d.build(ctx); err != nil {
			return err
		}
		d.screen.step("inner", "built")
		return nil
	})
	return group.Wait()
}

func (d *demo) startDatabase(ctx context.Context) (err error) {
	d.servers.database, err = postgres.Start(ctx, postgres.Options{Log: progress{d.screen}})
	if err != nil {
		return err
	}
	if err := d.servers.database.CreateDatabase(ctx, databaseName); err != nil {
		return err
	}
	if err := d.servers.database.CreateDatabase(ctx, tenantsName); err != nil {
		return err
	}
	d.opts.config.Database.DSN = config.Secret(d.servers.database.DSN(databaseName))
	d.opts.config.Combinator.RDB.DSN = config.Secret(d.servers.database.DSN(tenantsName))
	d.screen.step("database", "ready")
	return nil
}

func (d *demo) startCluster(ctx context.Context) (err error) {
	names := d.opts.config.Kubernetes.Namespaces
	d.servers.cluster, err = controlplane.Start(ctx, controlplane.Options{
		CRDs:       []string{filepath.Join(d.opts.root, "configs", "crd", "workerapps.yaml")},
		Log:        progress{d.screen},
		Namespaces: []string{names.Control, names.Worker, names.Ingress, names.Combinator},
	})
	if err != nil {
		return err
	}
	d.opts.config.Kubernetes.Kubeconfig = d.servers.cluster.Kubeconfig()
	d.screen.step("cluster", "ready")
	return nil
}

// close ends the private servers and removes their files.
func (s *servers) close() error {
	var failures []error
	if s.cluster != nil {
		failures = append(failures, s.cluster.Close())
	}
	if s.database != nil {
		failures = append(failures, s.database.Close())
	}
	if err := errors.Join(failures...); err != nil {
		return fmt.Errorf("end the servers: %w", err)
	}
	return nil
}

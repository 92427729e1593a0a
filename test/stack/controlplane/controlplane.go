// Package controlplane runs a real Kubernetes control plane with a simulated node: etcd, API server, controller
// manager and scheduler, and kwok, which plays a kubelet whose pods become ready or fail as their images' names say.
package controlplane

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"sync"

	"app238.com/inner/test/stack/build"
	"app238.com/inner/test/stack/ports"
	"app238.com/inner/test/stack/process"
	"app238.com/inner/test/stack/workdir"
)

// Options says what the cluster holds; its zero value is a cluster with the product's namespaces, one node, and
// the resources of Traefik, cert-manager and the Prometheus Operator.
type Options struct {
	// CRDs are files with further resource definitions to install.
	CRDs []string
	// Log receives progress of a build; standard error unless set.
	Log io.Writer
	// Namespaces to make; console, worker, ingress and combinator unless set.
	Namespaces []string
	// NodeAddress is where a real node and its pods reach the API server. Where it is set, no node is simulated, and
	// Kubernetes' own defaults hold for admission and controllers.
	NodeAddress string
	// ObjectsOnly leaves out node, scheduler and controllers: objects stay as they were written.
	ObjectsOnly bool
	// Region is the node's region label; global-1 unless set.
	Region string
}

// ControlPlane is a running cluster. Its methods may be called from several goroutines.
type ControlPlane struct {
	address     string // of the API server
	client      *client
	credentials *credentials
	dir         *workdir.Dir
	etcdAddress string
	nodeAddress string // empty: the node is simulated
	port        int    // of the API server
	program     string
	stagesFile  string

	mu        sync.Mutex
	apiServer *process.Process // nil while stopped
	others    []*process.Process
}

// Start brings a cluster up and returns when it takes work: the API server is ready, the definitions are served,
// and the node is Ready.
func Start(ctx context.Context, opts Options) (*ControlPlane, error) {
	buildOptions := build.Options{Log: opts.Log}
	program, err := build.ControlPlane(ctx, buildOptions)
	if err != nil {
		return nil, err
	}
	manifests, err := build.Manifests(ctx, buildOptions)
	if err != nil {
		return nil, err
	}
	definitions, err := readDefinitions(slices.Concat(manifests, opts.CRDs))
	if err != nil {
		return nil, err
	}
	c, err := prepare(ctx, program, opts.NodeAddress)
	if err != nil {
		return nil, err
	}
	if err := c.bringUp(ctx, opts, definitions); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

// prepare makes everything that the programs need before the first one starts.
func prepare(ctx context.Context, program, nodeAddress string) (c *ControlPlane, err error) {
	free, err := ports.Free(ctx, 2)
	if err != nil {
		return nil, err
	}
	dir, err := workdir.New()
	if err != nil {
		return nil, err
	}
	c = &ControlPlane{
		address:     fmt.Sprintf("https://127.0.0.1:%d", free[0]),
		dir:         dir,
		etcdAddress: fmt.Sprintf("http://127.0.0.1:%d", free[1]),
		nodeAddress: nodeAddress,
		port:        free[0],
		program:     program,
		stagesFile:  filepath.Join(dir.Path(), "stages.yaml"),
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, dir.Close())
		}
	}()
	if c.credentials, err = newCredentials(dir.Path(), c.address, c.hosts()); err != nil {
		return nil, err
	}
	if c.client, err = newClient(c.address, c.credentials); err != nil {
		return nil, err
	}
	return c, writeStages(c.stagesFile)
}

// Address is the API server's URL.
func (c *ControlPlane) Address() string {
	return c.address
}

// Dir is the folder of the cluster's files; it holds one <program>.log for each program.
func (c *ControlPlane) Dir() string {
	return c.dir.Path()
}

// Kubeconfig is the path of a file that gives its reader all rights in the cluster.
func (c *ControlPlane) Kubeconfig() string {
	return c.credentials.kubeconfig
}

// Token is the administrator's, random for each cluster, so that a test can look for leaks of it.
func (c *ControlPlane) Token() string {
	return c.credentials.token
}

// Close ends all programs and removes the cluster's files. Nothing is kept, so nothing gets time to end in order.
func (c *ControlPlane) Close() error {
	c.StopAPIServer()
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, program := range c.others {
		program.Kill()
	}
	c.others = nil
	c.client.close()
	return c.dir.Close()
}

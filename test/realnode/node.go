// Package realnode runs a Kubernetes cluster whose nodes are real, one that takes pods and a spare one: containerd, runc, CNI,
// kubelet, kube-proxy, CoreDNS, a policy controller, cert-manager and Traefik, with a PostgreSQL that pods reach. It runs inside
// a sandbox, which removes all that it leaves on the machine; see the command withnode.
package realnode

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	"k8s.io/client-go/kubernetes"

	"app238.com/inner/test/realnode/network"
	"app238.com/inner/test/realnode/sandbox"
	"app238.com/inner/test/stack"
	"app238.com/inner/test/stack/build"
	"app238.com/inner/test/stack/controlplane"
	"app238.com/inner/test/stack/postgres"
	"app238.com/inner/test/stack/process"
)

// Environment variables of the tests that want a real node.
const (
	// EnvDir tells a command run by withnode where the node's files are: <program>.log of each program, and sockets.
	EnvDir = "INNER_TEST_REALNODE"
	// EnvRequire, if not empty, has everything fail that would be left out for want of a real node.
	EnvRequire = "INNER_TEST_REQUIRE_REALNODE"
	// EnvWhyNot tells a command run by withnode why there is no real node.
	EnvWhyNot = "INNER_TEST_NO_REALNODE"
)

const (
	readyPoll = 50 * time.Millisecond
	// startLimit is far more than a slow machine needs, so that a hanging program becomes an error.
	startLimit = 4 * time.Minute
)

// Options says what the cluster holds; its zero value has the product's namespaces and the resources of Traefik,
// cert-manager and the Prometheus Operator.
type Options struct {
	// CRDs are files with further resource definitions to install.
	CRDs []string
	// Log receives progress of builds; standard error unless set.
	Log io.Writer
}

// Node is a running cluster: the node Name, and Spare beside it.
type Node struct {
	controlPlane *controlplane.ControlPlane
	database     *postgres.Server
	machines     []machine
	place        sandbox.Place
	programs     build.NodePrograms

	mu      sync.Mutex
	running []*process.Process
}

// Start brings the cluster up in this process's sandbox and returns when everything takes work. The first start of a
// machine builds what is missing, which a sandbox has no network for: call build.Node before, outside of it.
func Start(ctx context.Context, place sandbox.Place, opts Options) (*Node, error) {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	programs, err := build.Node(ctx, build.Options{Log: opts.Log})
	if err != nil {
		return nil, err
	}
	machines, err := machinesIn(place)
	if err != nil {
		return nil, err
	}
	n := &Node{machines: machines, place: place, programs: programs}
	if err := n.bringUp(ctx, opts); err != nil {
		return nil, errors.Join(err, n.Close())
	}
	return n, nil
}

// bringUp starts the programs in the order in which they can be of use to one another.
func (n *Node) bringUp(ctx context.Context, opts Options) error {
	if err := network.Up(ctx); err != nil {
		return err
	}
	if err := n.startServers(ctx, opts); err != nil {
		return err
	}
	if err := n.writeFiles(); err != nil {
		return err
	}
	client, err := newClient(n.controlPlane.Kubeconfig())
	if err != nil {
		return err
	}
	if err := n.startPrograms(ctx, client); err != nil {
		return err
	}
	return n.startKubeRouter(ctx)
}

// startPrograms starts the node's programs that need no other of them.
func (n *Node) startPrograms(ctx context.Context, client kubernetes.Interface) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return n.startMachines(ctx, client) })
	group.Go(func() error { return n.startAnswering(ctx, n.certManager()) })
	group.Go(func() error { return n.startAnswering(ctx, n.coreDNS()) })
	group.Go(func() error { return n.startAnswering(ctx, n.kubeProxy()) })
	group.Go(func() error { return n.startAnswering(ctx, n.traefik()) })
	group.Go(func() error { return n.startAnswering(ctx, n.cachingTraefik()) })
	return group.Wait()
}

// startServers starts what the node's programs need.
func (n *Node) startServers(ctx context.Context, opts Options) error {
	prefix, err := network.NodePrefix()
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() (err error) {
		n.controlPlane, err = controlplane.Start(ctx, controlplane.Options{CRDs: opts.CRDs, Log: opts.Log, NodeAddress: network.Node})
		return err
	})
	group.Go(func() (err error) {
		n.database, err = postgres.Start(ctx, postgres.Options{Log: opts.Log, Network: prefix})
		return err
	})
	return group.Wait()
}

// Environment is what tells a command where everything is, for its environment; the variables that withstack has too
// mean the same.
func (n *Node) Environment() []string {
	return []string{
		EnvDir + "=" + n.place.Dir,
		stack.EnvControlPlaneDir + "=" + n.controlPlane.Dir(),
		stack.EnvDSN + "=" + n.database.DSN("postgres"),
		stack.EnvKubeconfig + "=" + n.controlPlane.Kubeconfig(),
	}
}

// Close ends all programs, and tells which of them had ended before. Containers and what else they leave end with the
// sandbox.
func (n *Node) Close() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	var failures []error
	for _, program := range n.running {
		select {
		case <-program.Done():
			failures = append(failures, program.Failure())
		default:
			program.Kill()
		}
	}
	n.running = nil
	if n.controlPlane != nil {
		failures = append(failures, n.controlPlane.Close())
	}
	if n.database != nil {
		failures = append(failures, n.database.Close())
	}
	if err := errors.Join(failures...); err != nil {
		return fmt.Errorf("end the node: %w", err)
	}
	return nil
}

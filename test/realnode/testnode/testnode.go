// Package testnode gives tests the real node that they run beside, and leaves them out, by name, where there is none.
package testnode

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"app238.com/inner/test/realnode"
	"app238.com/inner/test/realnode/images"
	"app238.com/inner/test/stack"
)

// limit is what one step of a test gets on a busy machine.
const limit = 2 * time.Minute

// Node is the node that a test runs beside.
type Node struct {
	// Config is the administrator's, for further clients.
	Config *rest.Config
	// Dynamic is the administrator's client for every kind.
	Dynamic dynamic.Interface
	// DSN is the superuser's address of the database postgres; pods reach it too.
	DSN string
	// Dir holds a <program>.log for each of the node's programs.
	Dir string
	// Kubernetes is the administrator's client.
	Kubernetes kubernetes.Interface
}

// Of returns the node of this run. Where there is none, the test is left out.
func Of(t *testing.T) *Node {
	t.Helper()
	dir := os.Getenv(realnode.EnvDir)
	if dir == "" {
		LeaveOut(t, os.Getenv(realnode.EnvWhyNot))
	}
	config, err := clientcmd.BuildConfigFromFlags("", os.Getenv(stack.EnvKubeconfig))
	require.NoError(t, err)
	client, err := kubernetes.NewForConfig(config)
	require.NoError(t, err)
	every, err := dynamic.NewForConfig(config)
	require.NoError(t, err)
	return &Node{Config: config, Dynamic: every, DSN: os.Getenv(stack.EnvDSN), Dir: dir, Kubernetes: client}
}

// LeaveOut leaves the test out, with the reason, or has it fail where a real node is required.
func LeaveOut(t *testing.T, why string) {
	t.Helper()
	if why == "" {
		why = "it wants a real node: make test-real"
	}
	require.Empty(t, os.Getenv(realnode.EnvRequire), why)
	t.Skip(why)
}

// Image builds an image of a package, with these variables, and gives it to the nodes.
func (n *Node) Image(t *testing.T, pkg, reference string, environment ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	archive := filepath.Join(t.TempDir(), "image.tar")
	require.NoError(t, images.Build(ctx, pkg, reference, archive, environment...))
	n.Import(t, archive)
}

// Import gives the nodes the images of an archive.
func (n *Node) Import(t *testing.T, archive string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	for _, socket := range realnode.Sockets(n.Dir) {
		require.NoError(t, images.Import(ctx, socket, archive))
	}
}

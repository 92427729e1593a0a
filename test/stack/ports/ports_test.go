package ports

import (
	"fmt"
	"net"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestFree(t *testing.T) {
	t.Parallel()
	found, err := Free(t.Context(), 50)
	require.NoError(t, err)
	require.Len(t, found, 50)
	seen := map[int]bool{}
	for _, port := range found {
		require.False(t, seen[port], "port %d came twice", port)
		seen[port] = true
		require.Less(t, port, 30000, "NodePorts begin there, and at 32768 the ports of Linux' outgoing connections")
	}
}

func TestFreeSkipsPortsInUse(t *testing.T) {
	t.Parallel()
	found, err := Free(t.Context(), 1)
	require.NoError(t, err)
	var config net.ListenConfig
	listener, err := config.Listen(t.Context(), "tcp", fmt.Sprintf("127.0.0.1:%d", found[0]))
	require.NoError(t, err)
	require.False(t, free(t.Context(), found[0]))
	require.NoError(t, listener.Close())
	require.True(t, free(t.Context(), found[0]))
}

// Package ports picks TCP ports for servers of the test stack.
package ports

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
)

// The range lies below the one that Linux takes the ports of outgoing connections from: a port from there could be
// taken by any client while a server is being started, or restarted on its old port. It also lies below Kubernetes' NodePorts,
// which a node's firewall admits without asking a NetworkPolicy.
const (
	first = 12000
	last  = 30000

	attempts = 1000
)

// Free returns n different loopback ports that nobody listens on now.
func Free(ctx context.Context, n int) ([]int, error) {
	found := make([]int, 0, n)
	seen := make(map[int]bool, n)
	for range attempts {
		if len(found) == n {
			return found, nil
		}
		port := first + rand.IntN(last-first)
		if seen[port] || !free(ctx, port) {
			continue
		}
		seen[port] = true
		found = append(found, port)
	}
	return nil, errors.New("no free port found")
}

func free(ctx context.Context, port int) bool {
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		return false
	}
	return listener.Close() == nil
}

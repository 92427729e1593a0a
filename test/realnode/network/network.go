// Package network makes the network of a real node, in the network namespace of this process.
package network

import (
	"bytes"
	"context"
	"fmt"
	"net/netip"
	"os/exec"
	"strings"
)

const (
	// Node is the node's address on the pods' bridge: API server, kubelet, name server and PostgreSQL listen on it.
	Node = "10.244.7.1"
	// Bridge is the pods' bridge.
	Bridge = "rn0"
	// Pods is the pods' network.
	Pods = "10.244.7.0/24"
	// Internet is an address that stands for the Internet: it is in none of the cluster's networks. What listens on it
	// is a server of the Internet. All traffic to elsewhere ends in a cable whose other end nobody holds.
	Internet = "198.51.100.1"
)

// NodePrefix is the node's address with its network.
func NodePrefix() (netip.Prefix, error) {
	pods, err := netip.ParsePrefix(Pods)
	if err != nil {
		return netip.Prefix{}, err
	}
	node, err := netip.ParseAddr(Node)
	if err != nil {
		return netip.Prefix{}, err
	}
	return netip.PrefixFrom(node, pods.Bits()), nil
}

// Up makes loopback, the bridge and the way to the Internet. The bridge has a port that stays, so that it is up before
// the first pod; without the default route, the node's own programs could not reach addresses of Services.
func Up(ctx context.Context) error {
	prefix, err := NodePrefix()
	if err != nil {
		return err
	}
	commands := []string{
		"link set lo up",
		"link add " + Bridge + " type bridge",
		"link add port0 type veth peer name port0peer",
		"link set port0 master " + Bridge,
		"address add " + prefix.String() + " dev " + Bridge,
		"link set " + Bridge + " up",
		"link set port0 up",
		"link set port0peer up",
		"link add wan type veth peer name wanpeer",
		"address add " + Internet + "/24 dev wan",
		"link set wan up",
		"link set wanpeer up",
		"route add default dev wan",
	}
	cmd := exec.CommandContext(ctx, "ip", "-batch", "-")
	cmd.Stdin = strings.NewReader(strings.Join(commands, "\n") + "\n")
	if output, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("make the network: %w: %s", err, bytes.TrimSpace(output))
	}
	return nil
}

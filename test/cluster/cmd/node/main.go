// Command node holds the programs of a real node in one binary, so that the large libraries which they share are
// linked once. The first argument selects the program, the rest are that program's own arguments.
package main

import (
	"context"
	"fmt"
	"os"

	"k8s.io/component-base/cli"
	proxy "k8s.io/kubernetes/cmd/kube-proxy/app"
	kubelet "k8s.io/kubernetes/cmd/kubelet/app"
)

// exitUsage is the status for a missing or unknown program name.
const exitUsage = 2

func main() {
	if len(os.Args) < 2 {
		os.Exit(usage())
	}
	name := os.Args[1]
	// Each program reads os.Args itself and must see only what is meant for it.
	os.Args = append([]string{name}, os.Args[2:]...)
	os.Exit(run(name))
}

// run starts the named program and returns its exit status when it ends.
func run(name string) int {
	switch name {
	case "kubelet":
		return cli.Run(kubelet.NewKubeletCommand(context.Background()))
	case "kube-proxy":
		return cli.Run(proxy.NewProxyCommand())
	default:
		return usage()
	}
}

func usage() int {
	fmt.Fprintln(os.Stderr, "usage: node kubelet|kube-proxy [arguments]")
	return exitUsage
}

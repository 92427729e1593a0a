// Command controlplane holds every program of the test cluster in one binary, so that the large libraries which
// they share are linked once. The first argument selects the program, the rest are that program's own arguments.
package main

import (
	"fmt"
	"os"
	"strings"

	"go.etcd.io/etcd/server/v3/etcdmain"
	"k8s.io/component-base/cli"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	controllermanager "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
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

// run starts the named program and returns its exit status when it ends. Each program is built only when it is
// selected: their constructors set up process-wide state, feature gates among it.
func run(name string) int {
	switch name {
	case "etcd":
		etcdmain.Main(os.Args)
		return 0
	case "kube-apiserver":
		return cli.Run(apiserver.NewAPIServerCommand())
	case "kube-controller-manager":
		return cli.Run(controllermanager.NewControllerManagerCommand())
	case "kube-scheduler":
		return cli.Run(scheduler.NewSchedulerCommand())
	case "kwok":
		return runKwok()
	default:
		return usage()
	}
}

func usage() int {
	programs := []string{"etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kwok"}
	fmt.Fprintf(os.Stderr, "usage: controlplane %s [arguments]\n", strings.Join(programs, "|"))
	return exitUsage
}

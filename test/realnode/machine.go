package realnode

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"app238.com/inner/test/realnode/images"
	"app238.com/inner/test/realnode/network"
	"app238.com/inner/test/realnode/sandbox"
)

// The cluster's nodes.
const (
	// Name is the node that takes pods.
	Name = "node-1"
	// Spare is a node that takes none before its taint SpareTaint is removed.
	Spare = "node-2"
	// SpareTaint is the key of the taint that Spare registers with.
	SpareTaint = "inner.test/spare"
)

const (
	nodeLabels   = "topology.kubernetes.io/region=global-1"
	pausePackage = "app238.com/inner/test/realnode/images/pause"
)

// machine is what one node has for itself, a containerd with its kubelet. Address, bridge, rules of packets and policies are
// the same for all nodes: of those the cluster has one.
type machine struct {
	folder        string
	group         string // of its control groups, below the root
	name          string
	port, healthz int
	taints        string
}

func machinesIn(place sandbox.Place) ([]machine, error) {
	group, err := place.Subgroup(Spare)
	if err != nil {
		return nil, err
	}
	return []machine{
		{folder: place.Dir, group: place.Group, name: Name, port: 10250, healthz: 10248, taints: "[]"},
		{folder: filepath.Join(place.Dir, Spare), group: group, name: Spare, port: 10350, healthz: 10348,
			taints: "[{key: " + SpareTaint + ", effect: NoSchedule}]"},
	}, nil
}

// Sockets is where the containerds of the nodes listen, whose EnvDir is the folder.
func Sockets(dir string) []string {
	return []string{socket(dir), socket(filepath.Join(dir, Spare))}
}

func socket(folder string) string { return filepath.Join(folder, "run", "containerd.sock") }

// words are those of the files that differ between machines.
func (m machine) words() []string {
	return []string{
		"@GROUP@", m.group, "@HEALTHZ@", strconv.Itoa(m.healthz), "@OWN@", m.folder, "@PORT@", strconv.Itoa(m.port), "@TAINTS@",
		m.taints,
	}
}

// startMachines returns when every node takes work.
func (n *Node) startMachines(ctx context.Context, client kubernetes.Interface) error {
	archive := filepath.Join(n.place.Dir, "pause.tar")
	if err := images.Build(ctx, pausePackage, PauseImage, archive); err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	for _, m := range n.machines {
		group.Go(func() error {
			if err := n.startContainerd(ctx, m, archive); err != nil {
				return err
			}
			return n.startKubelet(ctx, m, client)
		})
	}
	return group.Wait()
}

// startContainerd returns when containerd has the image of the pods' own containers.
func (n *Node) startContainerd(ctx context.Context, m machine, archive string) error {
	running, err := n.start(program{
		arguments: []string{"--config", filepath.Join(m.folder, "containerd.toml")}, name: m.log("containerd"),
		path: "/usr/bin/containerd",
	})
	if err != nil {
		return err
	}
	return running.Await(ctx, readyPoll, func(ctx context.Context) error { return images.Import(ctx, socket(m.folder), archive) })
}

// startKubelet returns when the node is Ready.
func (n *Node) startKubelet(ctx context.Context, m machine, client kubernetes.Interface) error {
	running, err := n.start(program{
		arguments: []string{
			"kubelet",
			"--config=" + filepath.Join(m.folder, "kubelet.yaml"),
			"--kubeconfig=" + n.controlPlane.Kubeconfig(),
			"--hostname-override=" + m.name,
			"--node-ip=" + network.Node,
			"--node-labels=" + nodeLabels,
			"--root-dir=" + filepath.Join(m.folder, "data", "kubelet"),
			"--cert-dir=" + filepath.Join(m.folder, "data", "certificates"),
		},
		name: m.log("kubelet"),
		path: n.programs.Node,
	})
	if err != nil {
		return err
	}
	return running.Await(ctx, readyPoll, func(ctx context.Context) error { return ready(ctx, client, m.name) })
}

// log is the name of a program's log: that of the node which takes pods is called as the program.
func (m machine) log(program string) string {
	if m.name == Name {
		return program
	}
	return program + "-" + m.name
}

// ready returns nil once a node is Ready and has no taint but the spare one's.
func ready(ctx context.Context, client kubernetes.Interface, name string) error {
	node, err := client.CoreV1().Nodes().Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return err
	}
	if len(node.Status.Conditions) == 0 {
		return errors.New("the node has not reported")
	}
	for _, condition := range node.Status.Conditions {
		if condition.Type == corev1.NodeReady && condition.Status != corev1.ConditionTrue {
			return fmt.Errorf("the node is not ready: %s", condition.Message)
		}
	}
	for _, taint := range node.Spec.Taints {
		if taint.Key != SpareTaint {
			return fmt.Errorf("the node is not ready for pods: %s", taint.Key)
		}
	}
	return nil
}

package controlplane

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"app238.com/inner/test/stack/process"
)

// Names of the programs, and of their logs.
const (
	etcd              = "etcd"
	apiServer         = "kube-apiserver"
	controllerManager = "kube-controller-manager"
	scheduler         = "kube-scheduler"
	kwok              = "kwok"
)

const (
	// ServiceRange holds the addresses of Services.
	ServiceRange = "10.96.0.0/16"
	// firstService is the API server's.
	firstService = "10.96.0.1"
)

// clientLimits lift what the controllers allow themselves, which would be 20 requests a second.
func clientLimits() []string {
	return []string{"--kube-api-qps=1000", "--kube-api-burst=2000"}
}

// controllers are those that a worker's objects need. Not among them: the one that evicts pods from a node which it
// has not heard of for some time, so that a test may stop the API server for as long as it likes.
func controllers() []string {
	return []string{
		"clusterrole-aggregation-controller",
		"daemonset-controller",
		"deployment-controller",
		"endpointslice-controller",
		"garbage-collector-controller",
		"job-controller",
		"namespace-controller",
		"pod-garbage-collector-controller",
		"replicaset-controller",
		"serviceaccount-controller",
		"statefulset-controller",
	}
}

func (c *ControlPlane) etcdArguments() []string {
	return []string{
		"--data-dir=" + filepath.Join(c.dir.Path(), "etcd"),
		"--unsafe-no-fsync",
		"--listen-client-urls=" + c.etcdAddress,
		"--advertise-client-urls=" + c.etcdAddress,
		"--listen-peer-urls=http://127.0.0.1:0",
		"--log-level=warn",
		"--quota-backend-bytes=4294967296",
	}
}

func (c *ControlPlane) apiServerArguments() []string {
	return append(c.nodeArguments(),
		"--etcd-servers="+c.etcdAddress,
		fmt.Sprintf("--secure-port=%d", c.port),
		"--tls-cert-file="+c.credentials.certificateFile,
		"--tls-private-key-file="+c.credentials.keyFile,
		"--token-auth-file="+c.credentials.tokenFile,
		"--authorization-mode=RBAC",
		"--service-account-issuer="+c.address,
		"--service-account-key-file="+c.credentials.certificateFile,
		"--service-account-signing-key-file="+c.credentials.keyFile,
		"--service-cluster-ip-range="+ServiceRange,
		"--enable-priority-and-fairness=false",
		"--max-requests-inflight=3000",
		"--max-mutating-requests-inflight=1000",
		"--profiling=false",
	)
}

// nodeArguments are those of the API server in which a simulated node and a real one differ.
func (c *ControlPlane) nodeArguments() []string {
	if c.nodeAddress == "" {
		return []string{
			"--bind-address=127.0.0.1",
			"--advertise-address=127.0.0.1",
			"--endpoint-reconciler-type=none",
			// Pods need no service account here, and nodes no taints that a controller would have to lift.
			"--disable-admission-plugins=ServiceAccount,TaintNodesByCondition",
		}
	}
	return []string{
		"--bind-address=0.0.0.0",
		"--advertise-address=" + c.nodeAddress,
		"--kubelet-preferred-address-types=InternalIP",
	}
}

// hosts are what the API server is called beside loopback: pods know its Service.
func (c *ControlPlane) hosts() []string {
	if c.nodeAddress == "" {
		return nil
	}
	return []string{c.nodeAddress, firstService, "kubernetes", "kubernetes.default", "kubernetes.default.svc"}
}

func (c *ControlPlane) controllerManagerArguments() []string {
	which := strings.Join(controllers(), ",")
	if c.nodeAddress != "" {
		which = "*"
	}
	return append(clientLimits(),
		"--service-account-private-key-file="+c.credentials.keyFile,
		"--root-ca-file="+c.credentials.certificateFile,
		"--kubeconfig="+c.credentials.kubeconfig,
		"--leader-elect=false",
		"--secure-port=0",
		"--profiling=false",
		"--controllers="+which,
		"--concurrent-deployment-syncs=20",
		"--concurrent-replicaset-syncs=20",
		"--concurrent-gc-syncs=20",
		"--concurrent-service-endpoint-syncs=20",
	)
}

func (c *ControlPlane) schedulerArguments() []string {
	return append(clientLimits(),
		"--kubeconfig="+c.credentials.kubeconfig,
		"--leader-elect=false",
		"--secure-port=0",
		"--profiling=false",
	)
}

func (c *ControlPlane) kwokArguments() []string {
	return []string{
		"--kubeconfig=" + c.credentials.kubeconfig,
		"--config=" + c.stagesFile,
		"--manage-all-nodes",
		"--node-ip=10.0.0.1",
		"--cidr=10.244.0.0/16",
	}
}

// start runs one of the programs; its log is <name>.log.
func (c *ControlPlane) start(name string, arguments []string) (*process.Process, error) {
	return process.Start(process.Spec{
		Args:    append([]string{name}, arguments...),
		Dir:     c.dir.Path(),
		Env:     []string{"HOME=" + c.dir.Path(), "PATH=" + os.Getenv("PATH"), "TMPDIR=" + c.dir.Path()},
		LogFile: filepath.Join(c.dir.Path(), name+".log"),
		Name:    name,
		Path:    c.program,
	})
}

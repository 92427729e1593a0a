package realnode

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os/exec"
	"path/filepath"
	"strconv"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"

	"app238.com/inner/test/realnode/network"
	"app238.com/inner/test/stack/controlplane"
	"app238.com/inner/test/stack/process"
)

// program is one of the node's. It answers at url with 200 once it takes work.
type program struct {
	arguments   []string
	environment []string
	name        string
	path        string
	url         string
}

func (n *Node) coreDNS() program {
	return program{
		arguments: []string{"-conf", filepath.Join(n.place.Dir, "Corefile")},
		name:      "coredns",
		path:      n.programs.CoreDNS,
		url:       "http://127.0.0.1:8181/ready",
	}
}

// certManager signs what the cluster's issuers are asked for.
func (n *Node) certManager() program {
	return program{
		arguments: []string{"-kubeconfig", n.controlPlane.Kubeconfig()},
		name:      "certmanager",
		path:      n.programs.CertManager,
		url:       "http://127.0.0.1:9402/healthz",
	}
}

func (n *Node) kubeProxy() program {
	return program{
		arguments: []string{
			"kube-proxy",
			"--kubeconfig=" + n.controlPlane.Kubeconfig(),
			"--hostname-override=" + Name,
			"--proxy-mode=nftables",
			"--cluster-cidr=" + network.Pods,
			"--detect-local-mode=ClusterCIDR",
			"--healthz-bind-address=127.0.0.1:10256",
			"--metrics-bind-address=127.0.0.1:10249",
			// The machine's table of connections is not the node's to size.
			"--conntrack-max-per-core=0",
			"--conntrack-min=0",
			"--conntrack-tcp-timeout-established=0s",
			"--conntrack-tcp-timeout-close-wait=0s",
		},
		name: "kube-proxy",
		path: n.programs.Node,
		url:  "http://127.0.0.1:10256/healthz",
	}
}

// traefik is the ingress, which asks for names each time.
func (n *Node) traefik() program {
	return program{
		arguments:   traefikArguments(80, 443, 8080),
		environment: []string{"KUBECONFIG=" + n.controlPlane.Kubeconfig()},
		name:        "traefik",
		path:        n.programs.Traefik,
		url:         "http://127.0.0.1:8080/ping",
	}
}

// cachingTraefik is another ingress, on port 444, that is given names from a cache.
func (n *Node) cachingTraefik() program {
	p := n.traefik()
	p.arguments = append([]string{
		"--mount", "sh", "-c", `mount --bind "$1" /etc/resolv.conf && shift && exec "$@"`, "sh",
		filepath.Join(n.place.Dir, "resolv-cached.conf"), p.path,
	}, traefikArguments(81, 444, 8082)...)
	p.name, p.path, p.url = "traefik-cached", "/usr/bin/unshare", "http://127.0.0.1:8082/ping"
	return p
}

// traefikArguments has an ingress listen on these ports. Forwarded headers are believed of the ingress itself, which a request
// for a custom domain comes through twice.
func traefikArguments(web, secure, api int) []string {
	return []string{
		"--api.dashboard=false", // its pages are not in the published module
		"--api.insecure=true",
		"--entryPoints.traefik.address=127.0.0.1:" + strconv.Itoa(api),
		"--entryPoints.web.address=:" + strconv.Itoa(web),
		"--entryPoints.websecure.address=:" + strconv.Itoa(secure),
		"--entryPoints.websecure.forwardedHeaders.trustedIPs=" + network.Internet + "/32",
		"--global.checkNewVersion=false",
		"--global.sendAnonymousUsage=false",
		"--log.level=INFO",
		"--ping=true",
		"--providers.kubernetescrd=true",
		"--providers.kubernetescrd.allowExternalNameServices=true",
		"--providers.kubernetescrd.namespaces=ingress",
		"--serversTransport.insecureSkipVerify=true", // the workers' certificate is the tests' own
	}
}

func (n *Node) startAnswering(ctx context.Context, p program) error {
	running, err := n.start(p)
	if err != nil {
		return err
	}
	return running.Await(ctx, readyPoll, func(ctx context.Context) error { return answers(ctx, p.url) })
}

// startKubeRouter starts the controller of policies and returns when its rules stand. The node has to be there: it looks
// for it once.
func (n *Node) startKubeRouter(ctx context.Context) error {
	running, err := n.start(program{
		arguments: []string{
			"--kubeconfig=" + n.controlPlane.Kubeconfig(),
			"--hostname-override=" + Name,
			"--run-firewall=true",
			"--run-router=false",
			"--run-service-proxy=false",
			"--service-cluster-ip-range=" + controlplane.ServiceRange,
			"--health-port=0", // healthy from its first moment on
		},
		name: "kube-router",
		path: n.programs.KubeRouter,
	})
	if err != nil {
		return err
	}
	return running.Await(ctx, readyPoll, func(ctx context.Context) error {
		output, err := exec.CommandContext(ctx, "iptables", "-w", "-S", "KUBE-ROUTER-FORWARD").CombinedOutput()
		if err != nil {
			return fmt.Errorf("its rules: %w: %s", err, bytes.TrimSpace(output))
		}
		return nil
	})
}

// start runs a program; its log is <name>.log in the node's folder.
func (n *Node) start(p program) (*process.Process, error) {
	running, err := process.Start(process.Spec{
		Args: p.arguments,
		Dir:  n.place.Dir,
		Env: append([]string{"HOME=" + n.place.Dir, "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "TMPDIR=" + n.place.Dir},
			p.environment...),
		LogFile: filepath.Join(n.place.Dir, p.name+".log"),
		Name:    p.name,
		Path:    p.path,
	})
	if err != nil {
		return nil, err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.running = append(n.running, running)
	return running, nil
}

func answers(ctx context.Context, url string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		err = errors.New(response.Status)
	}
	return errors.Join(err, response.Body.Close())
}

func newClient(kubeconfig string) (kubernetes.Interface, error) {
	settings, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return nil, fmt.Errorf("read the kubeconfig: %w", err)
	}
	client, err := kubernetes.NewForConfig(settings)
	if err != nil {
		return nil, fmt.Errorf("make a client: %w", err)
	}
	return client, nil
}

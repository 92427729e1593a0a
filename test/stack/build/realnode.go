package build

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sync/errgroup"
)

const lego = "github.com/go-acme/lego/v4"

// NodePrograms are the files that a real node is made of.
type NodePrograms struct {
	// CertManager signs certificates.
	CertManager string
	// CoreDNS is the cluster's name server.
	CoreDNS string
	// Debian is a folder whose usr holds containerd, runc, CNI's plugins and what the rules of packets are written with.
	Debian string
	// Kubectl is what operators use; the node itself does not.
	Kubectl string
	// KubeRouter enforces NetworkPolicies.
	KubeRouter string
	// Node is kubelet and kube-proxy; its first argument chooses.
	Node string
	// Traefik is the ingress.
	Traefik string
}

// Node returns what a real node is made of, built and fetched first where it is missing. It needs Debian or a
// distribution made of it.
func Node(ctx context.Context, opts Options) (NodePrograms, error) {
	var p NodePrograms
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(1) // each build uses all of the machine
	for target, made := range map[*string]func() (string, error){
		&p.CertManager: func() (string, error) { return ownModule(ctx, opts, "certmanager") },
		&p.CoreDNS:     func() (string, error) { return ownModule(ctx, opts, "coredns") },
		&p.Debian:      func() (string, error) { return unpackDebian(ctx, opts, "debian-node", nodePackages(), nodeLinks()) },
		&p.Kubectl:     func() (string, error) { return Kubectl(ctx, opts) },
		&p.KubeRouter:  func() (string, error) { return kubeRouter().build(ctx, opts) },
		&p.Node:        func() (string, error) { return clusterProgram(ctx, opts, node, "kubelet and kube-proxy") },
		&p.Traefik:     func() (string, error) { return traefik().build(ctx, opts) },
	} {
		group.Go(func() (err error) {
			*target, err = made()
			return err
		})
	}
	return p, group.Wait()
}

func nodePackages() []string {
	return []string{"containerd", "runc", "containernetworking-plugins", "nftables", "iptables", "ipset"}
}

// nodeLinks are the names that Debian's alternatives would give.
func nodeLinks() map[string]string {
	links := map[string]string{}
	for _, family := range []string{"iptables", "ip6tables"} {
		for _, program := range []string{family, family + "-save", family + "-restore"} {
			links["usr/sbin/"+program] = "xtables-nft-multi"
		}
	}
	return links
}

// ownModule builds the program of that name, whose module of its own lies in the clone's folder of tests.
func ownModule(ctx context.Context, opts Options, name string) (string, error) {
	opts, err := opts.withDefaults()
	if err != nil {
		return "", err
	}
	module := filepath.Join(opts.Root, "test", name)
	key, err := sourceKey(ctx, module)
	if err != nil {
		return "", err
	}
	dir, err := cached(ctx, opts, name+"-"+key, func(dir string) error {
		defer report(opts.Log, "building "+name+" (one to four minutes on two cores, later starts reuse it)")()
		_, err := runGo(ctx, module, "build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w", "-o", filepath.Join(dir, name), ".")
		if err != nil {
			return fmt.Errorf("build %s: %w", name, err)
		}
		return nil
	})
	if err != nil {
		return "", err
	}
	return filepath.Join(dir, name), nil
}

func kubeRouter() moduleProgram {
	return moduleProgram{
		checksum: "h1:xWsptKtmZ44L+NjwFKoFAFlVdxCz8fka9A/eYJe95Ok=",
		name:     "kube-router",
		path:     "github.com/cloudnativelabs/kube-router/v2",
		pkg:      "cmd/kube-router",
		version:  "v2.1.0",
	}
}

func traefik() moduleProgram {
	return moduleProgram{
		change:   withoutDNSProviders,
		checksum: "h1:6pe4s7aaDTQs+AsF7KP3sM/xnq7zOVvibRQe5tw9eFo=",
		name:     "traefik",
		path:     "github.com/traefik/traefik/v3",
		pkg:      "cmd/traefik",
		version:  "v3.6.12",
	}
}

// withoutDNSProviders has Traefik's ACME library know no provider of DNS: their client libraries are a third of all
// packages.
func withoutDNSProviders(ctx context.Context, traefik string) error {
	output, err := runGo(ctx, traefik, "mod", "download", "-json", lego)
	if err != nil {
		return err
	}
	var downloaded struct{ Dir string }
	if err := json.Unmarshal(output, &downloaded); err != nil {
		return fmt.Errorf("read the go command's answer: %w", err)
	}
	copied := filepath.Join(traefik, "lego")
	if err := os.CopyFS(copied, os.DirFS(downloaded.Dir)); err != nil {
		return err
	}
	providers := filepath.Join(copied, "providers", "dns", "zz_gen_dns_providers.go")
	if err := os.WriteFile(providers, []byte(noProviders), 0o644); err != nil {
		return err
	}
	_, err = runGo(ctx, traefik, "mod", "edit", "-replace="+lego+"=./lego")
	return err
}

const noProviders = `package dns

import (
	"fmt"

	"github.com/go-acme/lego/v4/challenge"
)

// NewDNSChallengeProviderByName knows no provider.
func NewDNSChallengeProviderByName(name string) (challenge.Provider, error) {
	return nil, fmt.Errorf("built without DNS provider %s", name)
}
`

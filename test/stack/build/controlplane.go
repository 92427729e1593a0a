package build

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

const (
	// kubernetesVersion is what the programs call themselves; it goes with the module's version in test/cluster/go.mod.
	kubernetesVersion = "v1.36.3"
	// controlPlane and node are the commands of test/cluster/cmd.
	controlPlane = "controlplane"
	node         = "node"
	// outputLimit bounds how much of the go command's complaints an error carries.
	outputLimit = 4 << 10
)

func linkerFlags() string {
	return "-s -w -X k8s.io/component-base/version.gitVersion=" + kubernetesVersion
}

// ControlPlane returns the path of the program that holds the whole control plane, built first where it is missing.
func ControlPlane(ctx context.Context, opts Options) (string, error) {
	return clusterProgram(ctx, opts, controlPlane, "etcd and kwok")
}

// clusterProgram builds a command of the cluster's module where it is missing, and returns its path.
func clusterProgram(ctx context.Context, opts Options, name, holds string) (string, error) {
	opts, err := opts.withDefaults()
	if err != nil {
		return "", err
	}
	module := filepath.Join(opts.Root, clusterModule)
	key, err := sourceKey(ctx, module)
	if err != nil {
		return "", err
	}
	dir, err := cached(ctx, opts, name+"-"+key, func(dir string) error {
		defer report(opts.Log, "building Kubernetes "+kubernetesVersion+", "+holds+
			" (the first build takes 5 to 10 minutes on two cores, later starts reuse it)")()
		_, err := runGo(ctx, module, "build", "-trimpath", "-buildvcs=false",
			"-ldflags", linkerFlags(), "-o", filepath.Join(dir, name), "./cmd/"+name)
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

// runGo runs the go command in dir and returns its standard output.
func runGo(ctx context.Context, dir string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off")
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("go %s: %w\n%s", args[0], err, lastBytes(stderr.String()+stdout.String()))
	}
	return stdout.Bytes(), nil
}

func lastBytes(text string) string {
	return strings.TrimSpace(text[max(0, len(text)-outputLimit):])
}

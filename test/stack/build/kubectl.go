package build

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
)

// kubectlModule is where the module of kubectl lies in the clone.
const kubectlModule = "test/kubectl"

// Kubectl returns the path of a kubectl: the machine's, else one that is built first where it is missing.
func Kubectl(ctx context.Context, opts Options) (string, error) {
	if found, err := exec.LookPath("kubectl"); err == nil {
		return filepath.Abs(found)
	}
	opts, err := opts.withDefaults()
	if err != nil {
		return "", err
	}
	module := filepath.Join(opts.Root, kubectlModule)
	key, err := sourceKey(ctx, module)
	if err != nil {
		return "", err
	}
	dir, err := cached(ctx, opts, "kubectl-"+key, func(dir string) error {
		defer report(opts.Log, "building kubectl (1 to 3 minutes on two cores, later starts reuse it)")()
		_, err := runGo(ctx, module, "build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w", "-o",
			filepath.Join(dir, "kubectl"), ".")
		return err
	})
	if err != nil {
		return "", fmt.Errorf("build kubectl: %w", err)
	}
	return filepath.Join(dir, "kubectl"), nil
}

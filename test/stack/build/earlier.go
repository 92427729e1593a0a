package build

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
)

// Earlier is the oldest release that can be upgraded to this one, a commit until there is one with a tag: the last whose workers
// were reached by headless Services.
const Earlier = "0269132"

// ErrNoHistory says that the clone's history does not hold the earlier release.
var ErrNoHistory = errors.New("the clone's history is cut and does not hold " + Earlier + ": git fetch --unshallow")

// EarlierRelease returns the program of that release, with the libraries of its own time, built first where it is missing.
func EarlierRelease(ctx context.Context, opts Options) (string, error) {
	opts, err := opts.withDefaults()
	if err != nil {
		return "", err
	}
	toolchain, err := runGo(ctx, opts.Root, "env", "GOVERSION")
	if err != nil {
		return "", err
	}
	dir, err := cached(ctx, opts, "inner-"+Earlier+"-"+strings.TrimSpace(string(toolchain)), func(dir string) error {
		defer report(opts.Log, "building Inner of "+Earlier+" (2 to 5 minutes on two cores, later starts reuse it)")()
		if exec.CommandContext(ctx, "git", "-C", opts.Root, "cat-file", "-e", Earlier+"^{commit}").Run() != nil {
			return ErrNoHistory
		}
		source := filepath.Join(dir, "source")
		script := fmt.Sprintf("mkdir '%s' && git archive %s | tar -xf - -C '%s'", source, Earlier, source)
		unpack := exec.CommandContext(ctx, "sh", "-ec", script)
		unpack.Dir = opts.Root
		if output, err := unpack.CombinedOutput(); err != nil {
			return fmt.Errorf("unpack %s: %w\n%s", Earlier, err, lastBytes(string(output)))
		}
		_, err := runGo(ctx, source, "build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w -X main.version="+Earlier,
			"-o", filepath.Join(dir, "inner"), "./cmd/inner")
		return err
	})
	if err != nil {
		return "", fmt.Errorf("build Inner of %s: %w", Earlier, err)
	}
	return filepath.Join(dir, "inner"), nil
}

// Command release makes the files of a release, without a container engine and without a network but for Go's modules:
//
//	release -version v1.2.3 -image registry.example.com/inner-gateway [-o dist/v1.2.3] [-platforms …] [-clients …]
//
// The same commit gives the same files, byte by byte, with the same version of Go: docs/releasing.md.
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"golang.org/x/mod/semver"

	"app238.com/inner/cmd/image/oci"
	"app238.com/inner/cmd/image/spec"
)

// exitUsage is the exit status of a usage error.
const exitUsage = 2

func main() { os.Exit(run(os.Args[1:])) }

// options are the values of the flags.
type options struct {
	version, folder, image string
	platforms, clients     []v1.Platform
}

func run(arguments []string) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	o, err := parse(arguments)
	if err != nil {
		fmt.Fprintln(os.Stderr, "release:", err)
		return exitUsage
	}
	if err := o.make(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "release:", err)
		return 1
	}
	return 0
}

func parse(arguments []string) (o options, err error) {
	flags := flag.NewFlagSet("release", flag.ContinueOnError)
	flags.StringVar(&o.version, "version", "", "`version`, such as v1.2.3")
	flags.StringVar(&o.folder, "o", "", "`folder` of the files, new or of an earlier release (default dist/<version>)")
	flags.StringVar(&o.image, "image", "", "`name` of the image without a tag, which manifests and chart use")
	platforms := flags.String("platforms", "linux/amd64,linux/arm64", "comma-separated `list` of the image's platforms")
	clients := flags.String("clients", "darwin/arm64",
		"comma-separated `list` of platforms for the command line alone; may be empty")
	if err := flags.Parse(arguments); err != nil {
		return o, err
	}
	if flags.NArg() > 0 {
		return o, fmt.Errorf("%q is not understood", flags.Arg(0))
	}
	if !semver.IsValid(o.version) || semver.Canonical(o.version) != o.version {
		return o, fmt.Errorf("-version: %q is not like v1.2.3", o.version)
	}
	if err := oci.CheckReference(o.image + ":" + o.version); err != nil {
		return o, fmt.Errorf("-image: %w", err)
	}
	if o.folder == "" {
		o.folder = filepath.Join("dist", o.version)
	}
	o.folder = filepath.Clean(o.folder) // the new folder is made beside it
	if o.platforms, err = spec.Platforms(*platforms); err != nil {
		return o, fmt.Errorf("-platforms: %w", err)
	}
	if *clients != "" {
		if o.clients, err = spec.Platforms(*clients); err != nil {
			return o, fmt.Errorf("-clients: %w", err)
		}
	}
	return o, nil
}

// make writes the files to a new folder, which replaces that of an earlier release at the end.
func (o options) make(ctx context.Context) (err error) {
	if _, err := earlier(o.folder); err != nil {
		return err
	}
	if err := requireClean(ctx); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(o.folder), 0o755); err != nil {
		return err
	}
	folder, err := os.MkdirTemp(filepath.Dir(o.folder), ".release-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	r := &release{options: o, folder: folder, commit: spec.Head(ctx)}
	for _, step := range []func(context.Context) error{r.programs, r.manifests, r.chart, r.dependencies, r.checksums} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	if err := removeEarlier(o.folder); err != nil {
		return err
	}
	if err := os.Chmod(folder, 0o755); err != nil {
		return err
	}
	return os.Rename(folder, o.folder)
}

// requireClean refuses a clone with changes, whose files would not be those of its commit, and a folder of which git does not
// name the commit: the release would have neither its revision nor its time.
func requireClean(ctx context.Context) error {
	if _, err := git(ctx, "rev-parse", "--verify", "HEAD"); err != nil {
		return err
	}
	changes, err := git(ctx, "status", "--porcelain")
	if err == nil && len(changes) > 0 {
		err = fmt.Errorf("the clone has changes:\n%s", changes)
	}
	return err
}

func git(ctx context.Context, arguments ...string) ([]byte, error) {
	output, err := exec.CommandContext(ctx, "git", arguments...).Output()
	if failed, ok := errors.AsType[*exec.ExitError](err); ok {
		err = errors.New(string(bytes.TrimSpace(failed.Stderr)))
	}
	if err != nil {
		return nil, fmt.Errorf("a release is made of a commit: git %s: %w", arguments[0], err)
	}
	return bytes.TrimSpace(output), nil
}

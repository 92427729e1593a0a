// Command image builds the image of Inner Gateway, as the Dockerfile describes it, without a container engine:
//
//	image [-platforms linux/amd64,linux/arm64] [-o dist/inner-gateway.tar] [-version V] [-reference R]
//
// It writes an archive of an OCI image layout and prints the image's digest. The same commit gives the same digest with the same
// version of Go.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"app238.com/inner/cmd/image/oci"
	"app238.com/inner/cmd/image/spec"
)

// exitUsage is the exit status of a usage error.
const exitUsage = 2

func main() { os.Exit(run(os.Args[1:])) }

// options are the values of the flags.
type options struct {
	platforms                []v1.Platform
	file, version, reference string
}

func run(arguments []string) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	o, err := parse(arguments)
	if err != nil {
		fmt.Fprintln(os.Stderr, "image:", err)
		return exitUsage
	}
	if err := write(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "image:", err)
		return 1
	}
	return 0
}

func parse(arguments []string) (o options, err error) {
	flags := flag.NewFlagSet("image", flag.ContinueOnError)
	platforms := flags.String("platforms", "linux/amd64,linux/arm64", "comma-separated `list` of platforms")
	flags.StringVar(&o.file, "o", filepath.Join("dist", "inner-gateway.tar"), "`file` to write")
	flags.StringVar(&o.version, "version", "development", "what inner version says")
	flags.StringVar(&o.reference, "reference", "", "full `name` of the image (default localhost/inner-gateway:<version>)")
	if err := flags.Parse(arguments); err != nil {
		return o, err
	}
	if flags.NArg() > 0 {
		return o, fmt.Errorf("%q is not understood", flags.Arg(0))
	}
	if o.platforms, err = spec.Platforms(*platforms); err != nil {
		return o, fmt.Errorf("-platforms: %w", err)
	}
	if o.reference == "" {
		o.reference = "localhost/inner-gateway:" + o.version
	}
	if err := oci.CheckReference(o.reference); err != nil {
		return o, fmt.Errorf("-reference: %w", err)
	}
	return o, nil
}

func write(ctx context.Context, o options) error {
	image := spec.Inner(o.version, spec.Head(ctx))
	programs := make([]oci.Program, 0, len(o.platforms))
	for _, platform := range o.platforms {
		program, err := image.Build(ctx, platform)
		if err != nil {
			return err
		}
		programs = append(programs, program)
	}
	index, err := image.Index(programs...)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(o.file), 0o755); err != nil {
		return err
	}
	if err := oci.Write(o.file, o.reference, index); err != nil {
		return err
	}
	digest, err := index.Digest()
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(os.Stdout, "%s %s %s\n", o.file, o.reference, digest)
	return err
}

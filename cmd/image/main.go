// Command image builds the image of Inner Gateway, as the Dockerfile describes it, without a container engine:
//
//	image [-platforms linux/amd64,linux/arm64] [-o dist/inner-gateway.tar] [-version V] [-reference R]
//
// It writes an archive of an OCI image layout and prints the image's digest. The same commit gives the same digest with the same
// version of Go.
package main

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"app238.com/inner/cmd/image/oci"
)

// exitUsage is the exit status of a usage error.
const exitUsage = 2

func main() { os.Exit(run(os.Args[1:])) }

// options are the values of the flags.
type options struct {
	platforms                []v1.Platform
	file, version, reference string
	revision                 string
	created                  time.Time
}

func run(arguments []string) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	o, err := parse(ctx, arguments)
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

func parse(ctx context.Context, arguments []string) (o options, err error) {
	flags := flag.NewFlagSet("image", flag.ContinueOnError)
	platforms := flags.String("platforms", "linux/amd64,linux/arm64", "comma-separated `list` of platforms")
	flags.StringVar(&o.file, "o", filepath.Join("dist", "inner-gateway.tar"), "`file` to write")
	flags.StringVar(&o.version, "version", "development", "what inner version says")
	flags.StringVar(&o.reference, "reference", "", "`name` of the image (default inner-gateway:<version>)")
	if err := flags.Parse(arguments); err != nil {
		return o, err
	}
	if flags.NArg() > 0 {
		return o, fmt.Errorf("%q is not understood", flags.Arg(0))
	}
	for name := range strings.SplitSeq(*platforms, ",") {
		platform, err := v1.ParsePlatform(name)
		if err != nil || platform.OS == "" || platform.Architecture == "" {
			return o, fmt.Errorf("-platforms: %q is not like linux/amd64", name)
		}
		o.platforms = append(o.platforms, *platform)
	}
	if o.reference == "" {
		o.reference = "inner-gateway:" + o.version
	}
	o.revision, o.created = commit(ctx)
	return o, nil
}

// commit returns the checked-out commit and its time; outside of a clone, "" and the Unix epoch.
func commit(ctx context.Context) (revision string, created time.Time) {
	created = time.Unix(0, 0).UTC()
	output, err := exec.CommandContext(ctx, "git", "log", "-1", "--format=%H %ct").Output()
	if err != nil {
		return "", created
	}
	revision, seconds, _ := strings.Cut(string(bytes.TrimSpace(output)), " ")
	if at, err := strconv.ParseInt(seconds, 10, 64); err == nil {
		created = time.Unix(at, 0).UTC()
	}
	return revision, created
}

func write(ctx context.Context, o options) error {
	index, err := image(o).Index(ctx, o.platforms)
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

// image is the image of the Dockerfile; a test compares the two.
func image(o options) oci.Spec {
	labels := map[string]string{
		"org.opencontainers.image.created":  o.created.Format(time.RFC3339),
		"org.opencontainers.image.licenses": "Apache-2.0",
		"org.opencontainers.image.title":    "Inner Gateway",
		"org.opencontainers.image.version":  o.version,
	}
	if o.revision != "" {
		labels["org.opencontainers.image.revision"] = o.revision
	}
	return oci.Spec{
		Package: "./cmd/inner",
		Linker:  "-s -w -X main.version=" + o.version,
		Program: "/inner",
		Files:   map[string]string{"/etc/passwd": "inner:x:65532:65532:Inner Gateway:/:/inner\n"},
		Created: o.created,
		Config: v1.Config{
			User:         "65532:65532",
			ExposedPorts: map[string]struct{}{"9901/tcp": {}},
			Env:          []string{"GOGC=200"},
			Entrypoint:   []string{"/inner"},
			Cmd:          []string{"serve"},
			WorkingDir:   "/",
			Labels:       labels,
		},
	}
}

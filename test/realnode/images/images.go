// Package images makes images of Go programs and gives them to a node, without a registry.
package images

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"path"
	"path/filepath"
	"runtime"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"app238.com/inner/cmd/image/oci"
)

// Build builds the package static and writes an image that holds nothing else, under that reference, as an archive to
// the file; environment are its variables. A reference with another tag than latest is never asked for from a registry.
func Build(ctx context.Context, pkg, reference, file string, environment ...string) error {
	program := "/" + path.Base(pkg)
	image := oci.Spec{
		Package: pkg, Linker: "-s -w", Program: program,
		Config: v1.Config{Entrypoint: []string{program}, Env: environment, User: "65532:65532"},
	}
	built, err := image.Build(ctx, v1.Platform{OS: "linux", Architecture: runtime.GOARCH})
	if err != nil {
		return err
	}
	index, err := image.Index(built)
	if err != nil {
		return err
	}
	return oci.Write(file, reference, index)
}

// Import gives the images of an archive, a docker or an OCI one, to the node whose containerd listens on the socket.
func Import(ctx context.Context, socket, archive string) error {
	cmd := exec.CommandContext(ctx, "ctr", "--address", socket, "--namespace", "k8s.io", "images", "import", archive)
	if output, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("import %s: %w\n%s", filepath.Base(archive), err, bytes.TrimSpace(output))
	}
	return nil
}

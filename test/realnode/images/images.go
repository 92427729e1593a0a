// Package images makes images of Go programs and gives them to a node, without a registry.
package images

import (
	"archive/tar"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"runtime"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// executable is the mode of the program in the image.
const executable = 0o755

// Build builds the package static and writes an image that holds nothing else, under that reference, as an archive to
// the file. A reference with another tag than latest is never asked for from a registry.
func Build(ctx context.Context, pkg, reference, file string) error {
	dir, err := os.MkdirTemp("", "inner-image-")
	if err != nil {
		return fmt.Errorf("build image %s: %w", reference, err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	program := filepath.Join(dir, path.Base(pkg))
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w", "-o", program, pkg)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if output, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build %s: %w\n%s", pkg, err, output)
	}
	image, err := imageOf(program)
	if err != nil {
		return fmt.Errorf("build image %s: %w", reference, err)
	}
	tag, err := name.NewTag(reference)
	if err != nil {
		return fmt.Errorf("build image %s: %w", reference, err)
	}
	if err := tarball.WriteToFile(file, tag, image); err != nil {
		return fmt.Errorf("write image %s: %w", reference, err)
	}
	return nil
}

func imageOf(program string) (v1.Image, error) {
	data, err := os.ReadFile(program)
	if err != nil {
		return nil, err
	}
	inside := filepath.Base(program)
	var files bytes.Buffer
	archive := tar.NewWriter(&files)
	if err := archive.WriteHeader(&tar.Header{Mode: executable, Name: inside, Size: int64(len(data))}); err != nil {
		return nil, err
	}
	if _, err := archive.Write(data); err != nil {
		return nil, err
	}
	if err := archive.Close(); err != nil {
		return nil, err
	}
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(files.Bytes())), nil
	})
	if err != nil {
		return nil, err
	}
	image, err := mutate.AppendLayers(empty.Image, layer)
	if err != nil {
		return nil, err
	}
	configuration, err := image.ConfigFile()
	if err != nil {
		return nil, err
	}
	changed := configuration.DeepCopy()
	changed.Config.Entrypoint = []string{"/" + inside}
	changed.Config.User = "65532:65532"
	changed.Architecture, changed.OS = runtime.GOARCH, "linux"
	return mutate.ConfigFile(image, changed)
}

// Import gives the images of an archive, a docker or an OCI one, to the node whose containerd listens on the socket.
func Import(ctx context.Context, socket, archive string) error {
	cmd := exec.CommandContext(ctx, "ctr", "--address", socket, "--namespace", "k8s.io", "images", "import", archive)
	if output, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("import %s: %w\n%s", filepath.Base(archive), err, bytes.TrimSpace(output))
	}
	return nil
}

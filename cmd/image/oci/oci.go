// Package oci builds container images of static Go programs, without a container engine.
//
// The same source, Spec and Go version give the same digest on every machine: an image contains nothing of the machine, and all
// times in it are Spec.Created.
package oci

import (
	"archive/tar"
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// Modes of files in an image.
const (
	executable = 0o755
	readable   = 0o644
)

// Spec is an image of one program.
type Spec struct {
	// Dir is the folder of the program's module; empty: the working directory.
	Dir string
	// Package is the program's import path, or its folder with ./ before it.
	Package string
	// Linker are flags of the linker.
	Linker string
	// Program is the program's path in the image.
	Program string
	// Files are further files of the image, by path.
	Files map[string]string
	// Config is the image's configuration.
	Config v1.Config
	// Created is the time of all files and of the image.
	Created time.Time
}

// Program is the program of a Spec, built for a platform.
type Program struct {
	Platform v1.Platform
	Content  []byte
}

// Build builds the static program for a platform.
func (s Spec) Build(ctx context.Context, platform v1.Platform) (p Program, err error) {
	dir, err := os.MkdirTemp("", "inner-image-")
	if err != nil {
		return p, fmt.Errorf("build %s: %w", s.Package, err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	file := filepath.Join(dir, "program")
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-ldflags", s.Linker, "-o", file, s.Package)
	cmd.Dir, cmd.Env = s.Dir,
		append(os.Environ(), "CGO_ENABLED=0", "GOOS="+platform.OS, "GOARCH="+platform.Architecture, "GOAMD64=", "GOARM64=")
	if output, err := cmd.CombinedOutput(); err != nil {
		return p, fmt.Errorf("build %s for %s: %w\n%s", s.Package, platform, err, bytes.TrimSpace(output))
	}
	p.Platform = platform
	if p.Content, err = os.ReadFile(file); err != nil {
		return p, fmt.Errorf("build %s: %w", s.Package, err)
	}
	return p, nil
}

// Index returns an image for each program, under one name.
func (s Spec) Index(programs ...Program) (v1.ImageIndex, error) {
	index := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	for _, program := range programs {
		image, err := s.image(program)
		if err != nil {
			return nil, fmt.Errorf("image of %s: %w", s.Package, err)
		}
		index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: image, Descriptor: v1.Descriptor{Platform: &program.Platform}})
	}
	return index, nil
}

// image returns the image of a program.
func (s Spec) image(program Program) (v1.Image, error) {
	layer, err := s.layer(program.Content)
	if err != nil {
		return nil, err
	}
	image := mutate.MediaType(mutate.ConfigMediaType(empty.Image, types.OCIConfigJSON), types.OCIManifestSchema1)
	if image, err = mutate.Append(image, mutate.Addendum{
		Layer: layer, History: v1.History{CreatedBy: "go build " + s.Package, Created: v1.Time{Time: s.Created}},
	}); err != nil {
		return nil, err
	}
	file, err := image.ConfigFile()
	if err != nil {
		return nil, err
	}
	file = file.DeepCopy()
	file.Config, file.Created = s.Config, v1.Time{Time: s.Created}
	file.OS, file.Architecture, file.Variant = program.Platform.OS, program.Platform.Architecture, program.Platform.Variant
	return mutate.ConfigFile(image, file)
}

// layer returns the layer with the program and the files.
func (s Spec) layer(program []byte) (v1.Layer, error) {
	var files bytes.Buffer
	archive := tar.NewWriter(&files)
	add := func(name string, mode int64, content []byte) error {
		header := &tar.Header{Name: strings.TrimPrefix(path.Clean(name), "/"), Mode: mode, Size: int64(len(content)),
			ModTime: s.Created}
		if err := archive.WriteHeader(header); err != nil {
			return err
		}
		_, err := archive.Write(content)
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(s.Files)) {
		if err := add(name, readable, []byte(s.Files[name])); err != nil {
			return nil, err
		}
	}
	if err := add(s.Program, executable, program); err != nil {
		return nil, err
	}
	if err := archive.Close(); err != nil {
		return nil, err
	}
	return tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(files.Bytes())), nil },
		tarball.WithMediaType(types.OCILayer))
}

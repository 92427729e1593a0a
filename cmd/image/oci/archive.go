package oci

import (
	"archive/tar"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
)

// Annotations with the reference, for readers of an archive.
const (
	referenceAnnotation  = "org.opencontainers.image.ref.name"
	containerdAnnotation = "io.containerd.image.name"
)

// CheckReference refuses a reference under which a node would not find an imported image: containerd stores names as they are,
// but its CRI completes those that lack a registry, or Docker's library, before it looks.
func CheckReference(reference string) error {
	registry, image, _ := strings.Cut(reference, "/")
	incomplete := registry != "localhost" && !strings.ContainsAny(registry, ".:") || !strings.Contains(image, ":") ||
		registry == "index.docker.io" || registry == "docker.io" && !strings.Contains(image, "/")
	if incomplete {
		return fmt.Errorf("%q is not a full name like localhost/inner-gateway:v1", reference)
	}
	_, err := name.NewTag(reference)
	return err
}

// Write writes an index, under a reference like registry.example.com/inner-gateway:1.0, to a file: an archive of an OCI image
// layout. An existing file is replaced once the new one is complete.
func Write(file, reference string, index v1.ImageIndex) (err error) {
	dir, err := os.MkdirTemp(filepath.Dir(file), ".image-")
	if err != nil {
		return fmt.Errorf("write %s: %w", file, err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	whole := mutate.AppendManifests(empty.Index, mutate.IndexAddendum{Add: index, Descriptor: v1.Descriptor{
		Annotations: map[string]string{referenceAnnotation: reference, containerdAnnotation: reference},
	}})
	folder, archive := filepath.Join(dir, "layout"), filepath.Join(dir, "archive")
	if _, err := layout.Write(folder, whole); err != nil {
		return fmt.Errorf("write %s: %w", file, err)
	}
	if err := pack(folder, archive); err != nil {
		return fmt.Errorf("write %s: %w", file, err)
	}
	if err := os.Rename(archive, file); err != nil {
		return fmt.Errorf("write %s: %w", file, err)
	}
	return nil
}

// pack writes an archive of a folder, with the same time on all files.
func pack(folder, to string) (err error) {
	err = filepath.WalkDir(folder, func(name string, _ fs.DirEntry, err error) error {
		return errors.Join(err, os.Chtimes(name, time.Unix(0, 0), time.Unix(0, 0)))
	})
	if err != nil {
		return err
	}
	file, err := os.Create(to)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	archive := tar.NewWriter(file)
	if err := archive.AddFS(os.DirFS(folder)); err != nil {
		return err
	}
	return archive.Close()
}

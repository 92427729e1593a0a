package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"

	"app238.com/inner/cmd/image/oci"
	"app238.com/inner/cmd/image/spec"
)

// Modes of the files.
const (
	executable = 0o755
	readable   = 0o644
)

// release is one release in the making.
type release struct {
	options
	folder string
	commit spec.Commit
}

func (r *release) write(name string, content []byte, mode fs.FileMode) error {
	return os.WriteFile(filepath.Join(r.folder, name), content, mode)
}

// number is the version without its v, as charts have it.
func (r *release) number() string { return strings.TrimPrefix(r.version, "v") }

// programs writes the program for each platform, and the image.
func (r *release) programs(ctx context.Context) error {
	image := spec.Inner(r.version, r.commit)
	var inImage []oci.Program
	for i, platform := range slices.Concat(r.platforms, r.clients) {
		program, err := image.Build(ctx, platform)
		if err != nil {
			return err
		}
		if i < len(r.platforms) {
			inImage = append(inImage, program)
		}
		name := fmt.Sprintf("inner-%s-%s-%s", r.version, platform.OS, platform.Architecture)
		if err := r.write(name, program.Content, executable); err != nil {
			return err
		}
	}
	index, err := image.Index(inImage...)
	if err != nil {
		return err
	}
	digest, err := index.Digest()
	if err != nil {
		return err
	}
	reference := r.image + ":" + r.version
	if err := oci.Write(filepath.Join(r.folder, "inner-gateway-"+r.version+"-image.tar"), reference, index); err != nil {
		return err
	}
	return r.write("inner-gateway-"+r.version+"-image.digest", fmt.Appendf(nil, "%s@%s\n", r.image, digest), readable)
}

// manifests writes what kubectl applies: what holds users' objects, and the program. They are two files, so that deleting the
// second one deletes nothing of the users. The settings are in neither: the next release's file would reset them.
func (r *release) manifests(context.Context) error {
	cluster, err := kustomize("configs/deploy/cluster")
	if err != nil {
		return err
	}
	if err := r.write("cluster.yaml", cluster, readable); err != nil {
		return err
	}
	overlay, err := os.MkdirTemp("configs/deploy/overlays", ".release-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(overlay) }()
	content := fmt.Sprintf(`resources: [../../base]
images: [{name: inner-gateway, newName: %q, newTag: %q}]
labels: [{includeTemplates: true, pairs: {app.kubernetes.io/version: %q}}]
`, r.image, r.version, r.version)
	if err := os.WriteFile(filepath.Join(overlay, "kustomization.yaml"), []byte(content), 0o600); err != nil {
		return err
	}
	install, err := kustomize(overlay)
	if err != nil {
		return err
	}
	return r.write("install.yaml", install, readable)
}

func kustomize(folder string) ([]byte, error) {
	options := krusty.MakeDefaultOptions()
	options.Reorder = krusty.ReorderOptionLegacy
	built, err := krusty.MakeKustomizer(options).Run(filesys.MakeFsOnDisk(), folder)
	if err != nil {
		return nil, fmt.Errorf("build %s: %w", folder, err)
	}
	return built.AsYaml()
}

var (
	chartVersion = regexp.MustCompile(`(?m)^version: .*$`)
	appVersion   = regexp.MustCompile(`(?m)^appVersion: .*$`)
)

// chart writes the chart as helm package does, but with the commit's time on all files.
func (r *release) chart(context.Context) (err error) {
	const folder = "configs/chart"
	ignored, err := os.ReadFile(filepath.Join(folder, ".helmignore"))
	if err != nil {
		return err
	}
	var packed bytes.Buffer
	compressed := gzip.NewWriter(&packed)
	archive := tar.NewWriter(compressed)
	err = walk(folder, "", func(name string) error {
		content, err := os.ReadFile(filepath.Join(folder, name))
		if err != nil || ignores(string(ignored), name) {
			return err
		}
		if name == "Chart.yaml" {
			content = chartVersion.ReplaceAll(content, []byte("version: "+r.number()))
			content = appVersion.ReplaceAll(content, []byte("appVersion: "+r.version))
		}
		if name == "values.yaml" {
			content = bytes.ReplaceAll(content, []byte("repository: registry.example.com/inner-gateway"), []byte("repository: "+r.image))
		}
		header := &tar.Header{Name: path.Join("inner-gateway", filepath.ToSlash(name)), Mode: readable, Size: int64(len(content)),
			ModTime: r.commit.Time}
		if err := archive.WriteHeader(header); err != nil {
			return err
		}
		_, err = archive.Write(content)
		return err
	})
	if err := errors.Join(err, archive.Close(), compressed.Close()); err != nil {
		return fmt.Errorf("pack %s: %w", folder, err)
	}
	return r.write("inner-gateway-"+r.number()+".tgz", packed.Bytes(), readable)
}

// walk visits the files below a folder in order. It follows symbolic links, by which the chart holds files of configs.
func walk(root, below string, visit func(name string) error) error {
	entries, err := os.ReadDir(filepath.Join(root, below))
	if err != nil {
		return err
	}
	for _, entry := range entries {
		name := filepath.Join(below, entry.Name())
		info, err := os.Stat(filepath.Join(root, name))
		if err != nil {
			return err
		}
		if info.IsDir() {
			err = walk(root, name, visit)
		} else {
			err = visit(name)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// ignores tells whether .helmignore, whose lines are paths or names, leaves a file out of the chart.
func ignores(list, name string) bool {
	for line := range strings.Lines(list) {
		if line = strings.TrimSpace(line); line == filepath.ToSlash(name) || line == filepath.Base(name) {
			return true
		}
	}
	return false
}

// checksums writes what sha256sum -c checks.
func (r *release) checksums(context.Context) error {
	entries, err := os.ReadDir(r.folder)
	if err != nil {
		return err
	}
	var sums bytes.Buffer
	for _, entry := range entries {
		content, err := os.ReadFile(filepath.Join(r.folder, entry.Name()))
		if err != nil {
			return err
		}
		sums.WriteString(sumOf(entry.Name(), content))
	}
	return r.write(sumsFile, sums.Bytes(), readable)
}

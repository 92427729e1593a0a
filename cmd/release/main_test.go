package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	cyclonedx "github.com/CycloneDX/cyclonedx-go"
	"github.com/stretchr/testify/require"
)

const (
	root    = "../.."
	version = "v9.8.7-test"
)

// committed is the time of every commit that gitIn makes.
var committed = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func gitIn(t *testing.T, folder string, arguments ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "git", arguments...)
	cmd.Dir = folder
	at := committed.Format(time.RFC3339)
	cmd.Env = append(os.Environ(), "GIT_AUTHOR_DATE="+at, "GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@example.com",
		"GIT_COMMITTER_DATE="+at, "GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@example.com")
	output, err := cmd.CombinedOutput()
	require.NoError(t, err, string(output))
}

// made makes a release of a copy of the source, for this machine's architecture alone, and returns the files.
func made(t *testing.T) map[string][]byte {
	t.Helper()
	source := t.TempDir()
	for _, name := range []string{"app", "cmd", "configs", "ent", "modules", "go.mod", "go.sum"} {
		from, to := filepath.Join(root, name), filepath.Join(source, name)
		if info, err := os.Stat(from); err == nil && !info.IsDir() {
			content, err := os.ReadFile(from)
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(to, content, 0o600))
			continue
		}
		require.NoError(t, os.CopyFS(to, os.DirFS(from)))
	}
	gitIn(t, source, "init", "-q")
	gitIn(t, source, "add", ".")
	gitIn(t, source, "commit", "-q", "-m", "first")
	require.NoError(t, os.WriteFile(filepath.Join(source, ".git", "info", "exclude"), []byte("/dist/\n"), 0o600))
	earlierRelease(t, filepath.Join(source, "dist")) // which is replaced
	cmd := exec.CommandContext(t.Context(), "go", "run", "./cmd/release", "-version", version, "-clients", "",
		"-platforms", "linux/"+runtime.GOARCH, "-image", "registry.test/inner")
	cmd.Dir = source
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, string(out))
	files := map[string][]byte{}
	require.NoError(t, fs.WalkDir(os.DirFS(filepath.Join(source, "dist", version)), ".",
		func(name string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() {
				return err
			}
			files[name], err = os.ReadFile(filepath.Join(source, "dist", version, name))
			return err
		}))
	left, err := filepath.Glob(filepath.Join(source, "configs", "deploy", "overlays", ".release-*"))
	require.NoError(t, err)
	require.Empty(t, left)
	return files
}

func TestReleaseIsReproducibleAndComplete(t *testing.T) {
	t.Parallel()
	files, again := made(t), made(t)
	program := "inner-" + version + "-linux-" + runtime.GOARCH
	require.ElementsMatch(t, []string{
		program,
		"inner-gateway-" + version + "-image.tar", "inner-gateway-" + version + "-image.digest", "cluster.yaml", "install.yaml",
		"inner-gateway-9.8.7-test.tgz", "inner-" + version + ".cdx.json", "LICENSES.txt", "SHA256SUMS",
	}, slices.Collect(maps.Keys(files)))
	for name, content := range files {
		require.True(t, bytes.Equal(content, again[name]), "%s differs from run to run", name)
		if name != "SHA256SUMS" {
			require.Contains(t, string(files["SHA256SUMS"]), fmt.Sprintf("%x  %s\n", sha256.Sum256(content), name))
		}
	}

	file := filepath.Join(t.TempDir(), "inner")
	require.NoError(t, os.WriteFile(file, files[program], 0o700))
	out, err := exec.CommandContext(t.Context(), file, "version").Output()
	require.NoError(t, err)
	require.Contains(t, string(out), version)

	require.NotContains(t, string(files["install.yaml"]), "kind: Namespace\n", "deleting it would delete users' objects")
	require.NotContains(t, string(files["install.yaml"]), "kind: CustomResourceDefinition\n")
	require.NotContains(t, string(files["install.yaml"]), "kind: ConfigMap\n", "an upgrade would reset the settings")
	require.Contains(t, string(files["install.yaml"]), "configMap:\n          name: inner-gateway\n")
	require.Equal(t, 2, strings.Count(string(files["install.yaml"]), "image: registry.test/inner:"+version+"\n"))
	require.Equal(t, 4, strings.Count(string(files["cluster.yaml"]), "kind: Namespace\n"))
	values := chartFile(t, files["inner-gateway-9.8.7-test.tgz"], "inner-gateway/values.yaml")
	require.Contains(t, values, "registry.test/inner", "the chart names the image that was asked for")

	var bom cyclonedx.BOM
	require.NoError(t, cyclonedx.NewBOMDecoder(bytes.NewReader(files["inner-"+version+".cdx.json"]),
		cyclonedx.BOMFileFormatJSON).Decode(&bom))
	require.Equal(t, version, bom.Metadata.Component.Version)
	require.Equal(t, committed.Format(time.RFC3339), bom.Metadata.Timestamp)
	names := map[string]bool{}
	for _, component := range *bom.Components {
		names[component.Name] = true
		require.NotEmpty(t, *component.Licenses, component.Name)
	}
	require.True(t, names["k8s.io/client-go"])
	require.True(t, names["std"])
	require.Contains(t, string(files["LICENSES.txt"]), "k8s.io/client-go ")
}

// chartFile returns a file of a packed chart.
func chartFile(t *testing.T, chart []byte, name string) string {
	t.Helper()
	unpacked, err := gzip.NewReader(bytes.NewReader(chart))
	require.NoError(t, err)
	for archive := tar.NewReader(unpacked); ; {
		header, err := archive.Next()
		require.NoError(t, err, name)
		if header.Name == name {
			content, err := io.ReadAll(archive)
			require.NoError(t, err)
			return string(content)
		}
	}
}

func TestInvalidCallIsRefused(t *testing.T) {
	t.Parallel()
	for _, arguments := range [][]string{
		{}, {"-version", "1.2.3"}, {"-version", "v1.2"}, {"-version", "v1.2.3", "-platforms", "amd64"}, {"-version", "v1.2.3", "more"},
		{"-version", "v1.2.3"}, {"-version", "v1.2.3", "-image", "inner-gateway"},
	} {
		require.Equal(t, exitUsage, run(arguments), arguments)
	}
}

func TestChangedCloneIsRefused(t *testing.T) {
	clone := t.TempDir()
	t.Chdir(clone)
	require.ErrorContains(t, requireClean(t.Context()), "made of a commit", "no clone")
	gitIn(t, clone, "init", "-q")
	require.ErrorContains(t, requireClean(t.Context()), "made of a commit", "a clone without a commit")
	gitIn(t, clone, "commit", "-q", "--allow-empty", "-m", "first")
	require.NoError(t, requireClean(t.Context()))
	require.NoError(t, os.WriteFile("changed", nil, 0o600))
	require.ErrorContains(t, requireClean(context.WithoutCancel(t.Context())), "changed")
}

// TestClientNeedsNoCCompiler looks for modules whose code for macOS wants one; the release is compiled without.
func TestClientNeedsNoCCompiler(t *testing.T) {
	t.Parallel()
	list := func(cgo string, arguments ...string) []string {
		cmd := exec.CommandContext(t.Context(), "go", append([]string{"list"}, arguments...)...)
		cmd.Dir = root
		cmd.Env = append(os.Environ(), "GOOS=darwin", "GOARCH=arm64", "CGO_ENABLED="+cgo)
		out, err := cmd.Output()
		require.NoError(t, err)
		return strings.Fields(string(out))
	}
	packages := list("0", "-deps", "-f", "{{if not .Standard}}{{.ImportPath}}{{end}}", "./cmd/inner")
	require.Contains(t, packages, "k8s.io/client-go/rest")
	const withFallback = "github.com/prometheus/client_golang/prometheus"
	require.Equal(t, []string{withFallback},
		list("1", append([]string{"-f", "{{if .CgoFiles}}{{.ImportPath}}{{end}}"}, packages...)...))
}

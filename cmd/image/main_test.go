package main

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/stretchr/testify/require"

	"app238.com/inner/cmd/image/oci"
	"app238.com/inner/cmd/image/spec"
)

const root = "../.."

var (
	buildLine  = regexp.MustCompile(`^RUN CGO_ENABLED=0 go build -trimpath -buildvcs=false -ldflags "(.*)" -o (\S+) \./cmd/inner$`)
	echoLine   = regexp.MustCompile(`^RUN echo '(.*)' > (\S+)$`)
	copiedLine = regexp.MustCompile(`^COPY --from=build (\S+) (\S+)$`)
)

// dockerfile reads the Dockerfile as a Spec. It fails at an instruction that it does not know, so that no new one is forgotten.
func dockerfile(t *testing.T) (s oci.Spec) {
	t.Helper()
	content, err := os.ReadFile(root + "/Dockerfile")
	require.NoError(t, err)
	echoed, program := map[string]string{}, ""
	s.Files, s.Config.ExposedPorts = map[string]string{}, map[string]struct{}{}
	for line := range strings.Lines(string(content)) {
		line = strings.TrimSpace(line)
		word, rest, _ := strings.Cut(line, " ")
		switch match := buildLine.FindStringSubmatch(line); {
		case match != nil:
			s.Package, s.Linker, program = "./cmd/inner", match[1], match[2]
		case echoLine.MatchString(line):
			match := echoLine.FindStringSubmatch(line)
			echoed[match[2]] = match[1] + "\n"
		case copiedLine.MatchString(line):
			match := copiedLine.FindStringSubmatch(line)
			if match[1] == program {
				s.Program = match[2]
			} else {
				require.Contains(t, echoed, match[1])
				s.Files[match[2]] = echoed[match[1]]
			}
		case word == "USER":
			s.Config.User = rest
		case word == "EXPOSE":
			s.Config.ExposedPorts[rest+"/tcp"] = struct{}{}
		case word == "ENV":
			s.Config.Env = append(s.Config.Env, rest)
		case word == "ENTRYPOINT":
			require.NoError(t, json.Unmarshal([]byte(rest), &s.Config.Entrypoint))
		case word == "CMD":
			require.NoError(t, json.Unmarshal([]byte(rest), &s.Config.Cmd))
		case line == "", strings.HasPrefix(line, "#"), line == "FROM golang:1.26 AS build", line == "FROM scratch", word == "ARG",
			line == "WORKDIR /src", line == "COPY go.mod go.sum ./", line == "COPY . .", line == "RUN go mod download":
		default:
			t.Errorf("the Dockerfile says %q, which make image does not know", line)
		}
	}
	return s
}

func TestImageMatchesDockerfile(t *testing.T) {
	t.Parallel()
	made := spec.Inner("${VERSION}", spec.Commit{})
	require.Equal(t, "${VERSION}", made.Config.Labels["org.opencontainers.image.version"])
	// What docker build adds by itself, or cannot know.
	made.Config.Labels, made.Config.WorkingDir, made.Created = nil, "", time.Time{}
	require.Equal(t, dockerfile(t), made)
}

// made makes the image of a copy of the source and returns its archive and what was printed.
func made(t *testing.T) (archive, printed string) {
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
	cmd := exec.CommandContext(t.Context(), "go", "run", "./cmd/image", "-version", "v9.8.7-test", "-platforms",
		"linux/"+runtime.GOARCH)
	cmd.Dir = source
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, string(out))
	return filepath.Join(source, "dist", "inner-gateway.tar"), strings.TrimSpace(string(out))
}

// content unpacks an archive and returns the image in it.
func content(t *testing.T, archive string) v1.Image {
	t.Helper()
	folder := t.TempDir()
	file, err := os.Open(archive)
	require.NoError(t, err)
	defer func() { require.NoError(t, file.Close()) }()
	for entries := tar.NewReader(file); ; {
		entry, err := entries.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		name := filepath.Join(folder, filepath.Clean("/"+entry.Name))
		if entry.FileInfo().IsDir() {
			require.NoError(t, os.MkdirAll(name, 0o700))
			continue
		}
		require.NoError(t, os.MkdirAll(filepath.Dir(name), 0o700))
		bytes, err := io.ReadAll(entries)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(name, bytes, 0o600))
	}
	whole, err := layout.ImageIndexFromPath(folder)
	require.NoError(t, err)
	manifest, err := whole.IndexManifest()
	require.NoError(t, err)
	require.Len(t, manifest.Manifests, 1)
	require.Equal(t, "localhost/inner-gateway:v9.8.7-test", manifest.Manifests[0].Annotations["org.opencontainers.image.ref.name"])
	index, err := whole.ImageIndex(manifest.Manifests[0].Digest)
	require.NoError(t, err)
	manifest, err = index.IndexManifest()
	require.NoError(t, err)
	require.Len(t, manifest.Manifests, 1)
	require.Equal(t, runtime.GOARCH, manifest.Manifests[0].Platform.Architecture)
	image, err := index.Image(manifest.Manifests[0].Digest)
	require.NoError(t, err)
	return image
}

func TestImageIsReproducibleAndRuns(t *testing.T) {
	t.Parallel()
	archive, printed := made(t)
	_, again := made(t)
	digest := regexp.MustCompile(`sha256:[0-9a-f]{64}$`)
	require.Regexp(t, digest, printed)
	require.Equal(t, digest.FindString(printed), digest.FindString(again))

	files := mutate.Extract(content(t, archive))
	defer func() { require.NoError(t, files.Close()) }()
	program, modes := filepath.Join(t.TempDir(), "inner"), map[string]fs.FileMode{}
	for entries := tar.NewReader(files); ; {
		entry, err := entries.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		modes[entry.Name] = entry.FileInfo().Mode()
		if entry.Name == "inner" {
			var whole bytes.Buffer
			_, err := io.Copy(&whole, entries)
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(program, whole.Bytes(), 0o700))
		}
	}
	require.Equal(t, map[string]fs.FileMode{"inner": 0o755, "etc/passwd": 0o644}, modes)
	out, err := exec.CommandContext(t.Context(), program, "version").Output()
	require.NoError(t, err)
	require.Contains(t, string(out), "v9.8.7-test")
}

func TestInvalidCallIsRefused(t *testing.T) {
	t.Parallel()
	for _, arguments := range [][]string{{"-platforms", "amd64"}, {"-platforms", ""}, {"more"}, {"-unknown"},
		{"-reference", "inner-gateway:v1"}, {"-reference", "localhost/inner-gateway"},
		{"-reference", "library/inner-gateway:v1"}, {"-reference", "localhost/Inner:v1"},
		{"-reference", "docker.io/inner-gateway:v1"}, {"-reference", "index.docker.io/org/inner-gateway:v1"}} {
		require.Equal(t, exitUsage, run(arguments), arguments)
	}
}

package build

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestDefaults(t *testing.T) {
	cache := t.TempDir()
	t.Setenv(EnvCache, cache)
	opts, err := Options{}.withDefaults()
	require.NoError(t, err)
	require.Equal(t, cache, opts.Cache)
	require.FileExists(t, filepath.Join(opts.Root, clusterModule, "go.mod"))

	t.Chdir(t.TempDir())
	_, err = Options{}.withDefaults()
	require.ErrorContains(t, err, "not inside a clone")
}

func TestSourceKey(t *testing.T) {
	t.Parallel()
	module := t.TempDir()
	write := func(name, content string) {
		t.Helper()
		require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(module, name)), 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(module, name), []byte(content), 0o600))
	}
	key := func() string {
		t.Helper()
		key, err := sourceKey(t.Context(), module)
		require.NoError(t, err)
		require.Len(t, key, keyLength)
		return key
	}
	write("go.mod", "module example.com/m\n")
	write("cmd/main.go", "package main\n")
	first := key()
	require.Equal(t, first, key())

	write("README.md", "not a source")
	write("cmd/main_test.go", "package main\n")
	require.Equal(t, first, key())

	seen := map[string]bool{first: true}
	for _, name := range []string{"go.sum", "cmd/main.go", "cmd/other.go", "go.mod"} {
		write(name, "module example.com/m\n// changed\n")
		require.False(t, seen[key()], "%s is not in the key", name)
		seen[key()] = true
	}
}

func TestManifests(t *testing.T) {
	t.Parallel()
	files, err := Manifests(t.Context(), Options{Log: &lockedWriter{}})
	require.NoError(t, err)
	var all strings.Builder
	for _, file := range files {
		data, err := os.ReadFile(file)
		require.NoError(t, err)
		all.Write(data)
	}
	for _, name := range []string{"ingressroutes.traefik", "certificates.cert-manager", "clusterissuers.cert-manager"} {
		require.Contains(t, all.String(), "name: "+name+".io\n")
	}
}

func TestManifestsAreWhatTheyWere(t *testing.T) {
	t.Parallel()
	opts, _ := setup(t)
	source := manifestSources()[0]
	source.checksum = "h1:anotherone="
	require.ErrorContains(t, source.fetch(t.Context(), opts, t.TempDir()), "checksum")
	source = manifestSources()[0]
	source.files = "no/such/*.yaml"
	require.ErrorContains(t, source.fetch(t.Context(), opts, t.TempDir()), "no file")
}

func TestNewestPostgreSQLFirst(t *testing.T) {
	t.Parallel()
	debian := t.TempDir()
	for _, name := range []string{"9", "15", "17", "16", "lost+found"} {
		bin := filepath.Join(debian, name, "bin")
		require.NoError(t, os.MkdirAll(bin, 0o755))
		if name == "17" {
			continue // a client alone
		}
		for _, program := range []string{"initdb", "postgres"} {
			require.NoError(t, os.WriteFile(filepath.Join(bin, program), nil, 0o755))
		}
	}
	dir, ok := findPostgreSQL(t.Context(), debian)
	require.True(t, ok)
	require.Equal(t, filepath.Join(debian, "16", "bin"), dir)
}

func TestModuleProgramsAreWhatTheyWere(t *testing.T) {
	t.Parallel()
	opts, _ := setup(t)
	opts.Log = &lockedWriter{}
	program := kubeRouter()
	program.checksum = "h1:anotherone="
	_, err := program.build(t.Context(), opts)
	require.ErrorContains(t, err, "checksum")
}

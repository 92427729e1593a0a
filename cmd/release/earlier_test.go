package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// earlierRelease returns a new folder below another one with the files of an earlier release.
func earlierRelease(t *testing.T, above string) string {
	t.Helper()
	folder := filepath.Join(above, version)
	require.NoError(t, os.MkdirAll(folder, 0o755))
	r := &release{folder: folder}
	for _, name := range []string{"inner-v0.0.1-linux-amd64", "cluster.yaml", "install.yaml", "LICENSES.txt"} {
		require.NoError(t, r.write(name, []byte("content of "+name), readable))
	}
	require.NoError(t, r.checksums(t.Context()))
	return folder
}

func TestOtherFilesAreNeverReplaced(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(folder string) error{
		"keep.txt is not of": func(folder string) error {
			return os.WriteFile(filepath.Join(folder, "keep.txt"), []byte("kept"), 0o600)
		},
		"subfolder is not of": func(folder string) error { return os.Mkdir(filepath.Join(folder, "subfolder"), 0o700) },
		"install.yaml was changed since": func(folder string) error {
			return os.WriteFile(filepath.Join(folder, "install.yaml"), []byte("edited"), 0o600)
		},
		"LICENSES.txt is not of": func(folder string) error { return os.Remove(filepath.Join(folder, sumsFile)) },
		"it has no cluster.yaml": func(folder string) error { return os.Remove(filepath.Join(folder, "cluster.yaml")) },
	} {
		folder := earlierRelease(t, t.TempDir())
		require.NoError(t, change(folder))
		before, err := os.ReadDir(folder)
		require.NoError(t, err)
		require.ErrorContains(t, options{folder: folder}.make(t.Context()), name)
		require.ErrorContains(t, removeEarlier(folder), name)
		after, err := os.ReadDir(folder)
		require.NoError(t, err)
		require.Equal(t, before, after, name)
	}
}

func TestForeignFolderIsRefused(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	file := filepath.Join(folder, "keep.txt")
	require.NoError(t, os.WriteFile(file, []byte("kept"), 0o600))
	link := filepath.Join(t.TempDir(), "link")
	require.NoError(t, os.Symlink(folder, link))
	for refused, reason := range map[string]string{folder: "keep.txt is not of", file: "not a folder", link: "not a folder"} {
		require.ErrorContains(t, options{folder: refused}.make(t.Context()), reason)
	}
	content, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, "kept", string(content))
	require.FileExists(t, filepath.Join(link, "keep.txt"))
}

func TestFolderOfEarlierReleaseIsRemoved(t *testing.T) {
	t.Parallel()
	above := t.TempDir()
	empty := filepath.Join(above, "empty")
	require.NoError(t, os.Mkdir(empty, 0o700))
	for _, folder := range []string{earlierRelease(t, above), empty, filepath.Join(above, "new")} {
		require.NoError(t, removeEarlier(folder))
	}
	left, err := os.ReadDir(above)
	require.NoError(t, err)
	require.Empty(t, left)
}

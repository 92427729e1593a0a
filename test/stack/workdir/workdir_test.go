package workdir

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestClose(t *testing.T) {
	t.Parallel()
	dir, err := newIn(t.TempDir())
	require.NoError(t, err)
	sub, err := dir.Sub("data")
	require.NoError(t, err)
	require.DirExists(t, sub)
	require.NoError(t, os.WriteFile(filepath.Join(sub, "file"), nil, 0o600))
	require.NoError(t, dir.Close())
	require.NoDirExists(t, dir.Path())
	require.NoError(t, dir.Close(), "a second time")
}

func TestAbandonedFoldersGo(t *testing.T) {
	t.Parallel()
	parent := t.TempDir()
	living, err := newIn(parent)
	require.NoError(t, err)
	dead, err := newIn(parent)
	require.NoError(t, err)
	other := filepath.Join(parent, "somebody-else")
	require.NoError(t, os.Mkdir(other, 0o755))

	require.NoError(t, dead.lock.Close()) // what the kernel does when an owner dies
	last, err := newIn(parent)
	require.NoError(t, err)

	require.NoDirExists(t, dead.Path())
	require.DirExists(t, living.Path())
	require.DirExists(t, last.Path())
	require.DirExists(t, other)
}

func TestManyAtOnce(t *testing.T) {
	t.Parallel()
	parent := t.TempDir()
	const count = 20
	made := make(chan *Dir, count)
	for range count {
		go func() {
			dir, err := newIn(parent)
			if err != nil {
				dir = nil
			}
			made <- dir
		}()
	}
	for range count {
		dir := <-made
		require.NotNil(t, dir)
		require.DirExists(t, dir.Path(), "removed while its owner lives")
		require.NoError(t, dir.Close())
	}
}

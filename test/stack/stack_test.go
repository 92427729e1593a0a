package stack_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"app238.com/inner/test/stack"
	"app238.com/inner/test/stack/controlplane"
)

const limit = time.Minute

func TestStart(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	s, err := stack.Start(ctx, stack.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })

	environment := map[string]string{}
	for _, entry := range s.Environment() {
		name, value, ok := strings.Cut(entry, "=")
		require.True(t, ok, entry)
		environment[name] = value
	}
	require.Equal(t, s.Postgres.DSN("postgres"), environment[stack.EnvDSN])
	require.FileExists(t, environment[stack.EnvKubeconfig])
	require.FileExists(t, filepath.Join(environment[stack.EnvControlPlaneDir], "kube-apiserver.log"))
	require.NoError(t, s.Postgres.CreateDatabase(ctx, "one"))

	require.NoError(t, s.Close())
	require.NoDirExists(t, environment[stack.EnvControlPlaneDir])
	require.Error(t, s.Postgres.CreateDatabase(ctx, "two"))
}

func TestStartEndsWhatItHasStarted(t *testing.T) {
	temporary := t.TempDir()
	require.NoError(t, os.Chmod(temporary, 0o711)) // PostgreSQL's user goes through it
	require.NoError(t, os.Chmod(filepath.Dir(temporary), 0o711))
	t.Setenv("TMPDIR", temporary)

	_, err := stack.Start(t.Context(), stack.Options{
		ControlPlane: controlplane.Options{CRDs: []string{"/no/such/file"}},
	})
	require.ErrorIs(t, err, os.ErrNotExist)
	left, err := filepath.Glob(filepath.Join(temporary, "inner-stack-*-*"))
	require.NoError(t, err)
	require.Empty(t, left)
}

package tikv_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/tikv/client-go/v2/txnkv"

	"app238.com/inner/test/stack/tikv"
)

// TestWhatWasCommittedSurvivesARestart writes through PD, restarts both programs and reads.
func TestWhatWasCommittedSurvivesARestart(t *testing.T) {
	t.Parallel()
	cluster, err := tikv.Start(t.Context(), tikv.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, cluster.Close()) })
	client, err := txnkv.NewClient([]string{cluster.Endpoint()})
	require.NoError(t, err)
	tx, err := client.Begin()
	require.NoError(t, err)
	require.NoError(t, tx.Set([]byte("key"), []byte("value")))
	require.NoError(t, tx.Commit(t.Context()))
	require.NoError(t, client.Close())

	require.NoError(t, cluster.Restart(t.Context()))
	client, err = txnkv.NewClient([]string{cluster.Endpoint()})
	require.NoError(t, err)
	tx, err = client.Begin()
	require.NoError(t, err)
	value, err := tx.Get(t.Context(), []byte("key"))
	require.NoError(t, err)
	require.Equal(t, "value", string(value.Value))
	require.NoError(t, tx.Rollback())
	require.NoError(t, client.Close())
}

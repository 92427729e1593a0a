package kv

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"
)

// FuzzRecord decodes records, to which other programs of the engine have access. A decoded record is encoded as the same.
func FuzzRecord(f *testing.F) {
	for _, seed := range []string{
		`{"user_uid":"u","resource_id":"r","prefix":"p","state":"active","created_at":"2026-01-01T00:00:00Z"}`,
		`{"clean_since":null}`, `{"created_at":"yesterday"}`, `[]`, `null`, "", `{"prefix":"\ud800"}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, value []byte) {
		read, err := decode(value)
		if err != nil {
			require.Nil(t, read)
			return
		}
		written, err := json.Marshal(read)
		require.NoError(t, err)
		again, err := decode(written)
		require.NoError(t, err)
		require.Equal(t, read.resource(), again.resource())
		require.Equal(t, read.State, again.State)
		require.True(t, read.CreatedAt.Equal(again.CreatedAt))
	})
}

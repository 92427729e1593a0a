package httpapi

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"app238.com/inner/app/identifier"
)

// FuzzReports checks that an accepted body holds only values that the database accepts.
func FuzzReports(f *testing.F) {
	const one = `{"user_id":"u1","resource_id":"r1","resource_type":"kv","datachange":-3,` +
		`"timespan_start":"2026-05-01T00:00:00+02:00","timespan_end":"2026-05-01T00:00:00Z"}`
	for _, body := range []string{
		one, `[` + one + `,` + one + `]`, `[]`, `[[]]`, `null`, `{}`, `{"user_id":"u1'; DROP TABLE users; --","resource_id":"аbc"}`,
		`{"user_id":"u1","resource_id":"r1","resource_type":"kv","datachange":1e400}`,
	} {
		f.Add(body)
	}
	f.Fuzz(func(t *testing.T, body string) {
		var sent reportList
		if json.Unmarshal([]byte(body), &sent) != nil {
			return
		}
		all, err := sent.validate()
		if err != nil {
			require.Empty(t, all)
			return
		}
		require.Len(t, all, len(sent.all))
		for _, r := range all {
			require.NoError(t, identifier.Check("user_id", r.UserUID))
			require.NoError(t, identifier.Check("resource_id", r.ResourceID))
			require.Contains(t, []string{"rdb", "kv"}, r.ResourceType)
			require.False(t, r.End.Before(r.Start))
			require.True(t, -MaxDataChange <= r.DataChange && r.DataChange <= MaxDataChange)
			for _, at := range []time.Time{r.Start, r.End} {
				require.Equal(t, time.UTC, at.Location())
				require.True(t, at.Year() >= firstYear && at.Year() <= lastYear)
				require.Equal(t, at, at.Truncate(time.Microsecond), "the precision of the database")
			}
		}
	})
}

func TestInvalidReportIsNamedByIndex(t *testing.T) {
	t.Parallel()
	var sent reportList
	require.NoError(t, json.Unmarshal([]byte(`[{"user_id":"u1","resource_id":"r1","resource_type":"table"}]`), &sent))
	_, err := sent.validate()
	require.ErrorContains(t, err, "[0].resource_type")
}

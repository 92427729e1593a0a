package status_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"app238.com/inner/app/status"
)

// answering is a transport that returns one response to every request.
type answering struct {
	code int
	body string
}

func (a answering) RoundTrip(*http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: a.code, Body: io.NopCloser(strings.NewReader(a.body))}, nil
}

// FuzzServerResponse probes a server with arbitrary responses.
func FuzzServerResponse(f *testing.F) {
	f.Add(http.StatusOK, `{"checks":{"database":"ok"}}`)
	f.Add(http.StatusServiceUnavailable, `{"checks":{"database":"away"},"failing":["database"]}`)
	f.Add(http.StatusOK, `<html>`)
	f.Add(http.StatusOK, `{"checks":{"a":1}}`)
	f.Fuzz(func(t *testing.T, code int, body string) {
		report, err := status.Server(&http.Client{Transport: answering{code, body}}, "http://inner").Probe(t.Context())
		if err != nil {
			require.Empty(t, report.Details)
			return
		}
		require.Equal(t, code == http.StatusOK, report.Condition == status.OK)
	})
}

package server_test

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"app238.com/inner/app/config"
	"app238.com/inner/app/server"
)

func TestRefusedMethodGetsAllowHeader(t *testing.T) {
	t.Parallel()
	i := running(t, config.HTTP{})
	for path, want := range map[string]string{"/here": "GET, HEAD, POST", "/probe": "GET, HEAD"} {
		for _, method := range []string{http.MethodDelete, http.MethodOptions, "NONSENSE"} {
			answer := i.ask(t, method, path)
			require.Equal(t, http.StatusMethodNotAllowed, answer.StatusCode, "%s %s", method, path)
			require.Equal(t, want, answer.Header.Get("Allow"), "%s %s", method, path)
			text, err := io.ReadAll(answer.Body)
			require.NoError(t, err)
			require.JSONEq(t, `{"error":"method not allowed"}`, string(text))
		}
	}
	require.Equal(t, http.StatusNotFound, i.ask(t, http.MethodDelete, "/nowhere").StatusCode)
}

func TestHEADIsAnsweredLikeGETWithoutBody(t *testing.T) {
	t.Parallel()
	i := running(t, config.HTTP{})
	for _, path := range []string{"/here", "/probe"} {
		get, head := i.ask(t, http.MethodGet, path), i.ask(t, http.MethodHead, path)
		require.Equal(t, http.StatusOK, head.StatusCode)
		require.Equal(t, get.Header.Get("Content-Type"), head.Header.Get("Content-Type"))
		require.Equal(t, get.ContentLength, head.ContentLength)
		text, err := io.ReadAll(head.Body)
		require.NoError(t, err)
		require.Empty(t, text)
	}
}

// ask sends a request without a body.
func (i *instance) ask(t *testing.T, method, path string) *http.Response {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, i.url+path, http.NoBody)
	require.NoError(t, err)
	answer, err := i.client.Do(r)
	require.NoError(t, err)
	t.Cleanup(func() { _ = answer.Body.Close() })
	return answer
}

func TestTooLargeAnnouncedBodyIsNotRequested(t *testing.T) {
	t.Parallel()
	i := running(t, config.HTTP{BodyLimit: 100})
	answer := closed(t, i.dial(t, halfHeader+"Expect: 100-continue\r\nContent-Length: 1000000\r\n\r\n"))
	require.Contains(t, answer, "413 Request Entity Too Large")
	require.Contains(t, answer, "body: longer than 100 bytes")
	require.NotContains(t, answer, "100 Continue")
	// One that may come is asked for, and one of an unknown length is counted.
	conn := i.dial(t, halfHeader+"Connection: close\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n{}")
	require.Contains(t, closed(t, conn), "100 Continue")
	conn = i.dial(t,
		halfHeader+"Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n65\r\n"+strings.Repeat("x", 101)+"\r\n0\r\n\r\n")
	require.Contains(t, closed(t, conn), "413 Request Entity Too Large")
}

func TestPanicResponseAndLogHaveRequestID(t *testing.T) {
	t.Parallel()
	b := setup(t)
	w := b.send(http.MethodGet, "/panic", "", server.RequestIDHeader, "abc-9")
	require.JSONEq(t, `{"error":"internal error (request abc-9)"}`, w.Body.String())
	require.Equal(t, "abc-9", w.Header().Get(server.RequestIDHeader))
	for _, message := range []string{"handler panicked", "request failed", "request"} {
		lines := b.logged.FilterMessage(message).All()
		require.Len(t, lines, 1, message)
		require.Equal(t, "abc-9", lines[0].ContextMap()["request_id"], message)
	}
	require.EqualValues(t, http.StatusInternalServerError, b.logged.FilterMessage("request").All()[0].ContextMap()["status"])
}

func TestElementErrorNamesIndex(t *testing.T) {
	t.Parallel()
	var target struct {
		Inner struct {
			Name string `json:"name"`
		} `json:"inner"`
	}
	err := json.Unmarshal([]byte(`{"inner":{"name":7}}`), &target)
	require.Equal(t, "[3].inner.name: must be a string, not number", server.JSONErrorText("", server.AtIndex(3, err)))
	require.Equal(t, "task_info[3].inner.name: must be a string, not number",
		server.JSONErrorText("task_info", server.AtIndex(3, err)))
	require.Equal(t, "[3][1]: not valid JSON", server.JSONErrorText("", server.AtIndex(3, server.AtIndex(1, io.EOF))))
}

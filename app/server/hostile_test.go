package server_test

import (
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"app238.com/inner/app/config"
)

const halfHeader = "POST /here HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"

func TestSlowHeaderIsCutOff(t *testing.T) {
	t.Parallel()
	i := running(t, config.HTTP{ReadHeaderTimeout: 300 * time.Millisecond})
	conn := i.dial(t, "GET /here HTTP/1.1\r\nHost: x\r\n")
	stop := drip(t, conn, "X-A: 1\r\n")
	defer stop()
	require.NotContains(t, closed(t, conn), "200 OK")
	require.Equal(t, http.StatusOK, i.get(t, "/here"))
}

func TestSlowBodyIsCutOffWithoutSlot(t *testing.T) {
	t.Parallel()
	i := running(t, config.HTTP{ReadTimeout: 2 * time.Second, MaxRequests: 1})
	conn := i.dial(t, halfHeader+"Content-Length: 1000000\r\n\r\n{")
	stop := drip(t, conn, " ")
	defer stop()
	i.openConnections(t, 1)
	require.Equal(t, http.StatusOK, i.get(t, "/here"), "another request finds the only slot free")
	require.Contains(t, closed(t, conn), "400 Bad Request")
}

// drip sends piece over and over until the connection is closed.
func drip(t *testing.T, conn net.Conn, piece string) (stop func()) {
	t.Helper()
	done := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		ticker := time.NewTicker(20 * time.Millisecond)
		defer ticker.Stop()
		for {
			select {
			case <-done:
				return
			case <-ticker.C:
				if _, err := conn.Write([]byte(piece)); err != nil {
					return
				}
			}
		}
	})
	return func() { close(done); wg.Wait() }
}

func TestClientNotReadingIsCutOff(t *testing.T) {
	t.Parallel()
	i := running(t, config.HTTP{WriteTimeout: 300 * time.Millisecond})
	i.dial(t, "GET /huge HTTP/1.1\r\nHost: x\r\n\r\n")
	i.openConnections(t, 1)
	i.openConnections(t, 0)
}

func TestIdleConnectionIsClosed(t *testing.T) {
	t.Parallel()
	i := running(t, config.HTTP{IdleTimeout: 100 * time.Millisecond})
	require.Contains(t, closed(t, i.dial(t, "GET /here HTTP/1.1\r\nHost: x\r\n\r\n")), "200 OK")
}

func TestHugeHeaderIsRefused(t *testing.T) {
	t.Parallel()
	i := running(t, config.HTTP{HeaderLimit: 8 << 10})
	for _, header := range []string{
		"X-Huge: " + strings.Repeat("a", 64<<10) + "\r\n",
		strings.Repeat("X-Many: 1\r\n", 8<<10),
	} {
		conn := i.dial(t, "GET /here HTTP/1.1\r\nHost: x\r\n"+header)
		require.Contains(t, closed(t, conn), "431 Request Header Fields Too Large")
	}
	require.Equal(t, http.StatusOK, i.get(t, "/here"))
}

func TestSilentClientsExcludeNobody(t *testing.T) {
	t.Parallel()
	const most = 20
	i := running(t, config.HTTP{MaxConnections: most})
	for range 5 * most {
		i.dial(t, "GET /her")
	}
	for range 3 {
		i.client.CloseIdleConnections()
		require.Equal(t, http.StatusOK, i.get(t, "/here"))
	}
	require.GreaterOrEqual(t, i.dropped(t, "sending"), float64(4*most))
	require.LessOrEqual(t, i.gauge(t, "inner_http_connections"), float64(most))
}

func TestClientsWithholdingBodiesExcludeNobody(t *testing.T) {
	t.Parallel()
	const most = 10
	i := running(t, config.HTTP{MaxConnections: most})
	for range 3 * most {
		i.dial(t, halfHeader+"Content-Length: 10\r\n\r\n{")
	}
	status, _, _ := i.post(t, "{}")
	require.Equal(t, http.StatusOK, status)
}

func TestIdleConnectionIsReplacedBeforeActiveOne(t *testing.T) {
	t.Parallel()
	i := running(t, config.HTTP{MaxConnections: 2})
	busy := i.dial(t, "GET /block HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
	<-i.entered
	idle := i.dial(t, "GET /here HTTP/1.1\r\nHost: x\r\n\r\n")
	_, err := idle.Read(make([]byte, 1))
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		conn := i.dial(t, "GET /here HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
		return strings.Contains(closed(t, conn), "200 OK")
	}, timeout, 10*time.Millisecond)
	closed(t, idle)
	close(i.release)
	require.Contains(t, closed(t, busy), "200 OK")
	require.InDelta(t, 1, i.dropped(t, "idle"), 0)
}

func TestNewConnectionIsClosedWhenAllAreActive(t *testing.T) {
	t.Parallel()
	i := running(t, config.HTTP{MaxConnections: 1})
	busy := i.dial(t, "GET /block HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
	<-i.entered
	require.Empty(t, closed(t, i.dial(t, "")))
	require.InDelta(t, 1, i.dropped(t, "new"), 0)
	close(i.release)
	require.Contains(t, closed(t, busy), "200 OK")
}

func TestRequestsBeyondLimitAreRefusedExceptProbes(t *testing.T) {
	t.Parallel()
	const most = 3
	i := running(t, config.HTTP{MaxRequests: most})
	var blocked sync.WaitGroup
	statuses := make(chan int, most)
	for range most {
		blocked.Go(func() {
			answer, err := i.client.Get(i.url + "/block")
			if err == nil {
				_ = answer.Body.Close()
				statuses <- answer.StatusCode
			}
		})
	}
	for range most {
		<-i.entered
	}
	status, header, text := i.post(t, "{}")
	require.Equal(t, http.StatusTooManyRequests, status)
	require.Equal(t, "1", header.Get("Retry-After"))
	require.JSONEq(t, `{"error":"too many requests at once, try again"}`, text)
	require.Equal(t, http.StatusOK, i.get(t, "/probe"))
	close(i.release)
	blocked.Wait()
	close(statuses)
	for s := range statuses {
		require.Equal(t, http.StatusOK, s)
	}
	status, _, _ = i.post(t, "{}")
	require.Equal(t, http.StatusOK, status, "a slot is given back")
}

func TestSlotIsReleasedAfterTimeout(t *testing.T) {
	t.Parallel()
	i := running(t, config.HTTP{MaxRequests: 1, RequestTimeout: 50 * time.Millisecond})
	for range 3 {
		require.Equal(t, http.StatusServiceUnavailable, i.get(t, "/block"))
	}
	require.Equal(t, http.StatusOK, i.get(t, "/here"))
}

func TestBodiesBeyondMemoryLimitAreRefused(t *testing.T) {
	t.Parallel()
	const size = 50 << 10
	i := running(t, config.HTTP{BodyLimit: size, BodyMemory: size + 1000})
	hold := func() net.Conn {
		return i.dial(t,
			fmt.Sprintf("%sConnection: close\r\nContent-Length: %d\r\n\r\n%s", halfHeader, size, strings.Repeat("x", size-1)))
	}
	holding := hold()
	require.Eventually(t, func() bool {
		status, header, _ := i.post(t, strings.Repeat("y", 2000))
		if answered(t, holding) { // this one was faster, and the other one was refused
			holding = hold()
		}
		return status == http.StatusTooManyRequests && header.Get("Retry-After") == "1"
	}, timeout, 5*time.Millisecond, "the memory of the body that is held back does not count")
	status, _, _ := i.post(t, "{}")
	require.Equal(t, http.StatusOK, status)
	_, err := holding.Write([]byte("x"))
	require.NoError(t, err)
	require.Contains(t, closed(t, holding), "200 OK")
	require.Eventually(t, func() bool {
		status, _, _ := i.post(t, strings.Repeat("y", size))
		return status == http.StatusOK
	}, timeout, 5*time.Millisecond, "the memory is not given back")
}

// answered tells, soon, whether something has come. Then the connection is of no more use.
func answered(t *testing.T, c net.Conn) bool {
	t.Helper()
	require.NoError(t, c.SetReadDeadline(time.Now().Add(time.Millisecond)))
	n, _ := c.Read(make([]byte, 1))
	require.NoError(t, c.SetReadDeadline(time.Now().Add(timeout)))
	return n > 0
}

func TestBodyOfUnknownLengthIsComplete(t *testing.T) {
	t.Parallel()
	i := running(t, config.HTTP{})
	const size = 300_001
	body := struct{ *strings.Reader }{strings.NewReader(strings.Repeat("z", size))}
	answer, err := i.client.Post(i.url+"/here", "application/json", body)
	require.NoError(t, err)
	defer func() { _ = answer.Body.Close() }()
	var n int
	_, err = fmt.Fscan(answer.Body, &n)
	require.NoError(t, err)
	require.Equal(t, size, n)
}

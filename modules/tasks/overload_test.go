package tasks_test

import (
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"app238.com/inner/app/server"
	"app238.com/inner/modules/tasks/internal/httpapi"
)

func TestOverloadAcceptsOrRefusesEachRequest(t *testing.T) {
	t.Parallel()
	b := setup(t)
	c := b.config.HTTP
	c.MaxRequests = 2
	b.handler = server.NewHandler(c, zap.NewNop(), httpapi.New(b.config, b.queue, b.store).Routes())
	var sent, granted, refused atomic.Int64
	var clients sync.WaitGroup
	for begin := time.Now(); refused.Load() == 0 || granted.Load() == 0; {
		require.Less(t, time.Since(begin), time.Minute, "granted %d, refused %d", granted.Load(), refused.Load())
		for range 50 {
			clients.Go(func() {
				w := b.request(http.MethodPost, "/api/acceptTask",
					fmt.Sprintf(`{"task_type":"test.echo","task_info":{"key":"k","text":"%d"}}`, sent.Add(1)))
				switch {
				case w.Code == http.StatusOK:
					granted.Add(1)
				case w.Code == http.StatusTooManyRequests && w.Header().Get("Retry-After") == "1":
					refused.Add(1)
				default:
					t.Errorf("%d %v: %s", w.Code, w.Header(), w.Body)
				}
			})
		}
		clients.Wait()
	}
	var rows int64
	require.NoError(t, b.db.QueryRowContext(t.Context(), `SELECT count(*) FROM console_tasks`).Scan(&rows))
	require.Equal(t, granted.Load(), rows, "a granted request was lost, or a refused one is a task")
}

package tasks_test

import (
	"fmt"
	"net/http"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"app238.com/inner/app/database"
	"app238.com/inner/app/server"
	"app238.com/inner/modules/tasks/internal/claims"
	"app238.com/inner/modules/tasks/internal/encryption"
	"app238.com/inner/modules/tasks/internal/httpapi"
	"app238.com/inner/modules/tasks/internal/queue"
	"app238.com/inner/modules/tasks/internal/store"

	"go.uber.org/zap"
)

// BenchmarkAccept is a request from the handler to the commit and back, on the program's own connections, without the
// network: a single client, and 64 whose commits are batched.
func BenchmarkAccept(b *testing.B) {
	t := setup(b)
	db, err := database.Open(t.config)
	require.NoError(b, err)
	prepared, err := database.OpenPreparedPool(t.config)
	require.NoError(b, err)
	b.Cleanup(func() { require.NoError(b, db.Close()); require.NoError(b, prepared.Close()) })
	keyring, err := encryption.New(t.config)
	require.NoError(b, err)
	t.store = store.New(db, prepared, keyring, t.config)
	t.queue = queue.New(t.registry, t.store, claims.NewTracker(t.config), newMetrics(b), nil)
	t.handler = server.NewHandler(t.config.HTTP, zap.NewNop(), httpapi.New(t.config, t.queue, t.store).Routes())
	var key atomic.Int64
	accept := func() {
		w := t.request(http.MethodPost, "/api/acceptTask",
			fmt.Sprintf(`{"task_type":"test.echo","task_info":{"key":"k%d","text":"x"}}`, key.Add(1)))
		if w.Code != http.StatusOK {
			b.Error(w.Code, w.Body)
		}
	}
	b.Run("alone", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			accept()
		}
	})
	b.Run("64 clients", func(b *testing.B) {
		b.ReportAllocs()
		b.SetParallelism(32) // for each of two processors
		b.RunParallel(func(p *testing.PB) {
			for p.Next() {
				accept()
			}
		})
	})
}

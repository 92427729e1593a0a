package tasks_test

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"app238.com/inner/app/database"
	"app238.com/inner/modules/tasks/internal/store"
	"app238.com/inner/test/proxy"
	"app238.com/inner/test/stack/postgres"
	"app238.com/inner/test/testdatabase"
)

const (
	echoRequest = `{"task_type":"test.echo","task_info":{"text":"x"}}`
	// timeout is far longer than anything takes on a busy machine.
	timeout = 2 * time.Minute
)

// pair is a primary with a database, and its standby.
type pair struct{ primary, standby *postgres.Server }

func newPair(t *testing.T) pair {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	t.Cleanup(cancel)
	primary, err := postgres.Start(ctx, postgres.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, primary.Close()) })
	require.NoError(t, primary.CreateDatabase(ctx, "inner"))
	require.NoError(t, database.Migrate(ctx, testdatabase.At(t, primary.DSN("inner")).DB))
	standby, err := primary.Standby(ctx)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, standby.Close()) })
	return pair{primary, standby}
}

// awaitAccept waits until a task is accepted.
func (b *fixture) awaitAccept(t *testing.T) {
	t.Helper()
	require.Eventually(t, func() bool {
		w := b.request(http.MethodPost, "/api/acceptTask", echoRequest)
		if w.Code != http.StatusOK {
			require.Equal(t, http.StatusServiceUnavailable, w.Code, w.Body)
			require.NotEmpty(t, w.Header().Get("Retry-After"))
		}
		return w.Code == http.StatusOK
	}, timeout, 50*time.Millisecond)
}

func TestAcceptsResumeWhenAddressLeadsToPrimary(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	address := proxy.New(t, p.primary.DSN("inner"))
	b := setupOn(t, testdatabase.At(t, address.DSN))
	b.start(t)
	b.awaitAccept(t)
	b.awaitReady(t)

	address.LeadTo(t, p.standby.DSN("inner"))
	address.Cut()
	address.Restore()
	b.awaitUnready(t, "takes no writes")
	for range 3 {
		w := b.request(http.MethodPost, "/api/acceptTask", echoRequest)
		require.Equal(t, http.StatusServiceUnavailable, w.Code, w.Body)
		require.NotEmpty(t, w.Header().Get("Retry-After"))
	}

	// The existing connections stay on the standby.
	address.LeadTo(t, p.primary.DSN("inner"))
	b.awaitAccept(t)
	b.awaitReady(t)

	id := b.accept(t, "after", "after")
	b.awaitStatus(t, id, store.Finished)
}

func TestAcceptsResumeOnPromotedStandby(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	address := proxy.New(t, p.primary.DSN("inner"))
	b := setupOn(t, testdatabase.At(t, address.DSN))
	b.start(t)
	b.awaitAccept(t)
	require.NoError(t, p.primary.Kill())
	address.LeadTo(t, p.standby.DSN("inner"))
	b.awaitUnready(t, "takes no writes")
	require.NoError(t, p.standby.Promote(t.Context()))
	b.awaitAccept(t)
	b.awaitReady(t)
}

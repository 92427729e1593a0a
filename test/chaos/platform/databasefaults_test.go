package platform_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"app238.com/inner/test/chaos/faults"
	"app238.com/inner/test/program"
	"app238.com/inner/test/stack/pgbouncer"
	"app238.com/inner/test/stack/postgres"
)

// platformName is the platform's own database.
const platformName = "platform"

// databaseFaults is what happens to the platform's database in operation, beside that it ends.
func (w *fixture) databaseFaults(t *testing.T, f *fleet) []fault {
	t.Helper()
	if !w.extent.operates() {
		return nil
	}
	step := func(by time.Duration) func(context.Context, *rand.Rand) (func(context.Context) error, error) {
		return func(context.Context, *rand.Rand) (func(context.Context) error, error) {
			return func(context.Context) error { return w.servers.Postgres.StepClock(0) }, w.servers.Postgres.StepClock(by)
		}
	}
	return []fault{
		{"database's clock an hour ahead", 8 * time.Second, step(time.Hour)},
		{"database's clock an hour behind", 8 * time.Second, step(-time.Hour)},
		{"pooler restarted", time.Second, restart(w.pooler, w.pooler.Stop)},
		{"backends frozen", 6 * time.Second, func(ctx context.Context, _ *rand.Rand) (func(context.Context) error, error) {
			_, thaw, err := w.servers.Postgres.FreezeBackends(ctx, platformName, "")
			return func(context.Context) error { return thaw() }, err
		}},
		{"failover and back", 3 * time.Second, func(ctx context.Context, _ *rand.Rand) (func(context.Context) error, error) {
			again := func(ctx context.Context) error { return w.failOver(ctx, t) }
			return again, again(ctx)
		}},
		{"a dump beside a rollout", 4 * time.Second, func(ctx context.Context, chance *rand.Rand) (func(context.Context) error, error) {
			finish, err := w.dump(ctx)
			if err != nil {
				return nil, err
			}
			return finish, w.rollOut(ctx, f, chance.IntN(replicas))
		}},
	}
}

// pool puts a PgBouncer in front of the address where there is to be one, and returns what Inner connects to.
func (w *fixture) pool(ctx context.Context, t *testing.T) (dsn string) {
	t.Helper()
	if !w.extent.operates() {
		return w.address.DSN
	}
	var err error
	w.pooler, err = pgbouncer.Start(ctx, pgbouncer.Options{Upstream: w.address.DSN, PoolSize: 80, Settings: map[string]string{
		"server_login_retry": "1", // 15 s by default: every fault of the database would last as long
	}})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, w.pooler.Close()) })
	return w.pooler.DSN(platformName)
}

// failOver has a standby take the place of the platform's database. For a while the address leads to the standby, which
// takes no writes.
func (w *fixture) failOver(ctx context.Context, t *testing.T) error {
	t.Helper()
	next, err := w.servers.Postgres.FailOver(ctx, func(standby *postgres.Server) {
		w.address.LeadTo(t, standby.DSN(platformName))
		faults.Pause(ctx, 2*time.Second)
	})
	if err != nil {
		return err
	}
	before := w.servers.Postgres
	w.servers.Postgres = next
	return before.Close()
}

// dump begins a dump of the platform's database that goes on, and holds its locks, until it is finished.
func (w *fixture) dump(ctx context.Context) (finish func(context.Context) error, err error) {
	reader, writer, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	ended := make(chan error, 1)
	go func() {
		err := w.servers.Postgres.Dump(ctx, platformName, writer)
		ended <- errors.Join(err, writer.Close())
	}()
	// The rest does not fit into the pipe.
	if _, err := reader.Read(make([]byte, 1)); err != nil {
		return nil, errors.Join(err, <-ended)
	}
	return func(context.Context) error {
		_, err := io.Copy(io.Discard, reader)
		return errors.Join(err, <-ended, reader.Close())
	}, nil
}

// rollOut does what a rollout of Inner does: each new pod migrates first, then an old one ends in good order.
func (w *fixture) rollOut(ctx context.Context, f *fleet, slot int) error {
	var group errgroup.Group
	for range replicas {
		group.Go(func() error {
			output, err := exec.CommandContext(ctx, program.Path(), "migrate", "--config", w.configFile).CombinedOutput()
			if err != nil {
				return fmt.Errorf("inner migrate: %w\n%s", err, output)
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	f.mu.Lock()
	before := f.members[slot]
	f.mu.Unlock()
	if err := before.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	<-before.ended
	return errors.Join(before.failure, f.start(slot))
}

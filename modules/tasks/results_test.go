package tasks_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"app238.com/inner/modules/tasks/internal/store"
	"app238.com/inner/modules/tasks/job"
	"app238.com/inner/test/proxy"
	"app238.com/inner/test/testdatabase"
)

// setupBehindProxy is setup on a database whose answers can be lost.
func setupBehindProxy(t *testing.T) (*fixture, *proxy.Proxy) {
	t.Helper()
	p := proxy.New(t, testdatabase.New(t).Config.Database.DSN.Reveal())
	return setupOn(t, testdatabase.At(t, p.DSN)), p
}

func (s *scriptedJob) timesStarted(text string) (n int) {
	for _, started := range s.starts() {
		if started == text {
			n++
		}
	}
	return n
}

func TestReclaimedTaskStaysTrackedAfterLateResult(t *testing.T) {
	t.Parallel()
	for name, first := range map[string]error{"requeued": errors.New("fails"), "parked": job.NewParked("waits")} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, p := setupBehindProxy(t)
			b.config.Tasks.ParkedRecheck = 10 * time.Millisecond
			gate := make(chan struct{})
			b.job.execute = func(ctx context.Context, task job.Task, n echo) error {
				if n.Text == "long" && b.job.timesStarted("long") == 1 {
					return first
				}
				return waiting(gate)(ctx, task, n)
			}
			statement := map[string]string{"requeued": "attempts = attempts + $6",
				"parked": "CASE WHEN woken THEN 'pending' ELSE 'waiting' END"}[name]
			p.LoseAnswers(statement, 1)
			q := b.acceptor(t)
			long, err := q.Accept(t.Context(), "test.echo", echo{Key: "k", Text: "long"})
			require.NoError(t, err)
			require.Eventually(t, func() bool { return b.job.timesStarted("long") == 2 }, timeout, time.Millisecond)
			<-time.After(time.Second) // the first result is written again after half a second
			p.LoseAnswers("INSERT INTO console_tasks", 1)
			_, err = q.Accept(t.Context(), "test.echo", echo{Text: "uncertain"})
			require.Error(t, err)
			require.Eventually(t, func() bool { return b.job.timesStarted("uncertain") == 1 }, timeout, time.Millisecond,
				"untracked claims are returned")
			<-time.After(500 * time.Millisecond) // a returned task is claimed within 50 ms
			require.Equal(t, 2, b.job.timesStarted("long"), "it was returned while it ran")
			close(gate)
			b.awaitStatus(t, long, store.Finished)
		})
	}
}

func TestRecoverSkipsTasksClaimedByLiveProcess(t *testing.T) {
	t.Parallel()
	b := setup(t)
	id := b.accept(t, "k", "x")
	require.NoError(t, b.heartbeats.Register(t.Context(), "dead", "host"))
	require.NoError(t, b.heartbeats.Register(t.Context(), "alive", "host"))
	_, err := b.store.ClaimTasks(t.Context(), "dead", id)
	require.NoError(t, err)
	seen, err := b.store.Poll(t.Context(), nil, nil, true)
	require.NoError(t, err)
	processes := seen.Processes
	dead := processes[slices.IndexFunc(processes, func(p store.Process) bool { return p.ID == "dead" })]
	tx := b.hold(t, `UPDATE console_tasks SET claimed_by = 'alive', claim_number = claim_number + 1 WHERE id = $1`, id)
	recovered := make(chan int64, 1)
	go func() {
		n, _ := b.store.Recover(t.Context(), dead)
		recovered <- n
	}()
	b.awaitLocked(t, "%recovered from a process%")
	require.NoError(t, tx.Commit())
	require.Zero(t, <-recovered)
	require.Equal(t, 1, b.count(t, `claimed_by = 'alive' AND task_status = 'processing'`))
}

func TestRetriedLookupInsertsNothingTwice(t *testing.T) {
	t.Parallel()
	b, p := setupBehindProxy(t)
	tasks := []store.NewTask{
		{Type: "test.echo", Info: []byte(`{"text":"first"}`), OrderingKey: "a", IdempotencyKey: "once"},
		{Type: "test.echo", Info: []byte(`{"text":"fresh"}`), OrderingKey: "b"},
	}
	before, err := b.store.Insert(t.Context(), "", tasks[:1], nil)
	require.NoError(t, err)
	p.AnswerWithError("WHERE idempotency_key = $1", "40001", 1)
	inserted, err := b.store.Insert(t.Context(), "", tasks, nil)
	require.NoError(t, err)
	require.Equal(t, before[0].ID, inserted[0].ID)
	require.NoError(t, inserted[0].Err)
	require.Equal(t, 2, b.count(t, `TRUE`))
}

func TestUnreadableDuplicateFailsAlone(t *testing.T) {
	t.Parallel()
	b, _ := setupVault(t)
	b.withKeys(t, "a")
	secret := store.NewTask{
		Type: "test.vault", Info: []byte(`{"key":"k","value":"hidden"}`), Erased: []byte(`{"key":"k","value":null}`), OrderingKey: "k",
		IdempotencyKey: "once",
	}
	_, err := b.store.Insert(t.Context(), "", []store.NewTask{secret}, nil)
	require.NoError(t, err)
	b.withKeys(t, "b")
	inserted, err := b.store.Insert(t.Context(), "",
		[]store.NewTask{{Type: "test.echo", Info: []byte(`{"text":"x"}`), OrderingKey: "x"}, secret}, nil)
	require.NoError(t, err)
	require.NoError(t, inserted[0].Err)
	require.NotZero(t, inserted[0].ID)
	require.Error(t, inserted[1].Err)
}

func TestResultWithInvalidBytesIsWritten(t *testing.T) {
	t.Parallel()
	for name, kind := range map[string]job.Kind{"error": job.Terminal, "superseded": job.Superseded, "failed": job.Retry,
		"parked": job.Parked, "later": job.Snooze} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			b.job.execute = func(_ context.Context, _ job.Task, n echo) error {
				if n.Text == "odd" {
					return &job.Error{Kind: kind, Text: "a\x00b\xffc", Cause: errors.New("d\x00e\xfff")}
				}
				return nil
			}
			b.start(t)
			odd := b.accept(t, "k", "odd")
			require.Eventually(t, func() bool {
				view, err := b.store.View(t.Context(), odd)
				require.NoError(t, err)
				return strings.Contains(view.Detail+view.LastError, "ab?c")
			}, timeout, 10*time.Millisecond)
			b.awaitStatus(t, b.accept(t, "", "well"), store.Finished)
		})
	}
}

func TestRefusedResultDoesNotBlockOthers(t *testing.T) {
	t.Parallel()
	b := setup(t)
	_, err := b.rawDB(t).ExecContext(t.Context(),
		`ALTER TABLE console_tasks ADD CHECK (task_detailed_status NOT LIKE '%unheard of%')`)
	require.NoError(t, err)
	b.job.execute = func(_ context.Context, _ job.Task, n echo) error {
		if strings.HasPrefix(n.Text, "odd") {
			return job.NewTerminal("unheard of")
		}
		return job.NewTerminal("usual")
	}
	var odd, usual []int64
	for i := range 20 {
		odd = append(odd, b.accept(t, "", fmt.Sprint("odd ", i)))
		usual = append(usual, b.accept(t, "", "usual"))
	}
	b.start(t)
	for i := range odd {
		require.Equal(t, "usual", b.awaitStatus(t, usual[i], store.Failed).Detail)
		require.Contains(t, b.awaitStatus(t, odd[i], store.Failed).Detail, "cannot be stored")
	}
}

func TestResultKeepsItsTextWhenAllAreRefused(t *testing.T) {
	t.Parallel()
	b := setup(t)
	rawDB := b.rawDB(t)
	_, err := rawDB.ExecContext(t.Context(), `CREATE SEQUENCE refusals; CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS
		'BEGIN PERFORM nextval(''refusals''); RAISE EXCEPTION ''of the test'' USING ERRCODE = ''42501''; END'`)
	require.NoError(t, err)
	_, err = rawDB.ExecContext(t.Context(),
		`CREATE TRIGGER fail BEFORE UPDATE ON console_tasks FOR EACH ROW WHEN (NEW.task_status <> 'processing') EXECUTE FUNCTION fail()`)
	require.NoError(t, err)
	b.job.execute = func(_ context.Context, _ job.Task, n echo) error {
		if n.Text == "again" {
			return job.NewSnooze(time.Millisecond, "snoozed")
		}
		return job.NewTerminal("the reason")
	}
	failed, again := b.accept(t, "", "fails"), b.accept(t, "", "again")
	b.start(t)
	require.Eventually(t, func() bool {
		var n int
		return rawDB.QueryRowContext(t.Context(), `SELECT last_value FROM refusals`).Scan(&n) == nil && n > 6
	}, timeout, 10*time.Millisecond)
	_, err = rawDB.ExecContext(t.Context(), `DROP TRIGGER fail ON console_tasks`)
	require.NoError(t, err)
	require.Equal(t, "the reason", b.awaitStatus(t, failed, store.Failed).Detail)
	require.Eventually(t, func() bool {
		view, err := b.store.View(t.Context(), again)
		return err == nil && view.Detail == "snoozed"
	}, timeout, time.Millisecond)
}

func TestTaskWithUnknownKeyIsDiscardedInTheEnd(t *testing.T) {
	t.Parallel()
	b, _ := setupVault(t)
	b.withKeys(t, "a")
	id, err := b.queue.AcceptInfo(t.Context(), "test.vault", []byte(`{"key":"k","value":"hidden"}`), "")
	require.NoError(t, err)
	next, err := b.queue.AcceptInfo(t.Context(), "test.echo", []byte(`{"key":"k","text":"next"}`), "")
	require.NoError(t, err)
	b.setUnrunnableForHours(t, id)
	b.withKeys(t, "b")
	b.start(t)
	require.Contains(t, b.awaitStatus(t, id, store.Failed).Detail, "tasks.encryptionKeys")
	b.awaitStatus(t, next, store.Finished)
}

package platform_test

import (
	"context"
	"database/sql"
	"fmt"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"app238.com/inner/test/dnsserver"
)

const (
	// hostileSpan is how long the others' requests are timed with, and how long without, a user who is hostile.
	hostileSpan = 3 * time.Minute
	// slowdown is the most that the slowest hundredth of their requests may take, in the time without him.
	slowdown = 2
	// gasp is how long he waits before he tries again what was ended.
	gasp = 500 * time.Millisecond
)

// effort is how much a hostile user does of each kind.
type effort struct {
	schemas, tables, largeObjects, domains int
}

// hostile is a user who wants the others to wait, and to be left with what is his.
type hostile struct {
	*outer
	effort effort
	busy   sync.WaitGroup
}

// login returns a way into a database as the user.
func (h *hostile) login(t *testing.T, name string) *sql.DB {
	t.Helper()
	u, err := url.Parse(h.fixture.engine.DSN(name))
	require.NoError(t, err)
	u.User = url.UserPassword("user_"+h.name, "sk_"+h.name)
	db, err := sql.Open("postgres", u.String())
	require.NoError(t, err)
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func (h *hostile) database() string { return "db_" + h.name }

// again does something over and over, whatever becomes of it, until the context ends.
func (h *hostile) again(ctx context.Context, do func(context.Context) error) {
	h.busy.Go(func() {
		for ctx.Err() == nil {
			_ = do(ctx) // his failures are what is wanted
			select {
			case <-ctx.Done():
			case <-time.After(gasp):
			}
		}
	})
}

// schema has a schema made and returns when it is there.
func (h *hostile) schema(ctx context.Context) (id string, err error) {
	id = fmt.Sprintf("%016x", h.chance.Uint64())
	if err := h.fixture.write(ctx, `INSERT INTO combinator_resources (user_uid, resource_type, resource_id) VALUES ($1, 'rdb', $2)`,
		h.name, id); err != nil {
		return "", err
	}
	if err := h.accept(ctx, "combinator.create_rdb",
		map[string]string{"user_uid": h.name, "resource_id": id, "name": "a resource"}); err != nil {
		return "", err
	}
	return id, until(ctx, "not active", func() (bool, error) {
		var status string
		err := h.fixture.db.QueryRowContext(ctx, `SELECT status FROM combinator_resources WHERE resource_id = $1`, id).Scan(&status)
		return status == "active", err
	})
}

func (h *hostile) drop(ctx context.Context, id string) error {
	if err := h.fixture.write(ctx, `DELETE FROM combinator_resources WHERE resource_id = $1`, id); err != nil {
		return err
	}
	return h.accept(ctx, "combinator.delete_rdb", map[string]string{"user_uid": h.name, "resource_id": id})
}

// hold keeps a table of a schema locked for as long as the server lets it, with no limit of time, and asks to be measured
// meanwhile by being there.
func (h *hostile) hold(db *sql.DB, id string) func(context.Context) error {
	return func(ctx context.Context) error {
		conn, err := db.Conn(ctx)
		if err != nil {
			return err
		}
		defer func() { _ = conn.Close() }()
		quoted := `"user_` + h.name + `_` + id + `".t`
		if _, err := conn.ExecContext(ctx, `SET idle_in_transaction_session_timeout = 0; SET statement_timeout = 0;
			CREATE TABLE IF NOT EXISTS `+quoted+` (v INT); BEGIN; LOCK TABLE `+quoted+` IN ACCESS EXCLUSIVE MODE`); err != nil {
			return err
		}
		_, err = conn.ExecContext(ctx, `SELECT pg_sleep(3600)`)
		return err
	}
}

// sit stays in a database.
func sit(db *sql.DB) func(context.Context) error {
	return func(ctx context.Context) error {
		_, err := db.ExecContext(ctx, `SELECT pg_sleep(3600)`)
		return err
	}
}

// prepare makes what takes its time to make: a schema that is hard to drop, and domains whose servers never answer.
func (h *hostile) prepare(ctx context.Context, t *testing.T) (large string) {
	t.Helper()
	large, err := h.schema(ctx)
	require.NoError(t, err)
	db := h.login(t, h.database())
	for i := range h.effort.tables {
		_, err := db.ExecContext(ctx, fmt.Sprintf(`CREATE TABLE "user_%s_%s".t%d (v TEXT)`, h.name, large, i))
		require.NoError(t, err)
	}
	_, err = db.ExecContext(ctx, `SELECT lo_create(0) FROM generate_series(1, $1::INT)`, h.effort.largeObjects)
	require.NoError(t, err)
	return large
}

// silentDomains adds domains below a zone whose servers never answer.
func (h *hostile) silentDomains(ctx context.Context, t *testing.T) {
	t.Helper()
	server, err := h.fixture.names.Server()
	require.NoError(t, err)
	server.Play("", dnsserver.Play{Silent: true})
	require.NoError(t, h.fixture.names.Root.Delegate("silent.example", server))
	_, err = h.fixture.db.ExecContext(ctx, `INSERT INTO custom_domains (cdid, user_uid, domain, target, txt_name, txt_value, status)
		SELECT 'f' || lpad(to_hex(i), 7, '0'), $1, 'd' || i || '.silent.example', 'x.worker.`+domain+`',
			'_combinator-verify.d' || i || '.silent.example', 'combinator-verify=0', 'pending' FROM generate_series(1, $2::INT) AS i`,
		h.name, h.effort.domains)
	require.NoError(t, err)
}

// attack does everything at once until the returned function is called.
func (h *hostile) attack(t *testing.T) (end func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	large := h.prepare(ctx, t)
	h.silentDomains(ctx, t)
	for _, name := range []string{"template1", "postgres", tenantsName, h.database()} {
		h.again(ctx, sit(h.login(t, name)))
	}
	own := h.login(t, h.database())
	require.NoError(t, h.drop(ctx, large))
	h.again(ctx, func(ctx context.Context) error {
		round, over := context.WithCancel(ctx)
		defer over()
		var held []string
		for range h.effort.schemas {
			id, err := h.schema(ctx)
			if err != nil {
				return err
			}
			held = append(held, id)
			h.again(round, h.hold(own, id))
		}
		for _, id := range held {
			if err := h.drop(ctx, id); err != nil {
				return err
			}
		}
		return until(ctx, "they are not dropped", func() (bool, error) {
			h.fixture.mu.Lock()
			defer h.fixture.mu.Unlock()
			for _, id := range held {
				if !h.fixture.notified[id] {
					return false, nil
				}
			}
			return true, nil
		})
	})
	return func() {
		cancel()
		h.busy.Wait()
	}
}

// TestHostileUserDelaysOthersLittle is alone on the machine as far as it can be: it compares times.
func TestHostileUserDelaysOthersLittle(t *testing.T) { //nolint:paralleltest // see above
	e := newExtent(t)
	long := e.operates()
	work := extent{audits: time.Hour, measures: 10 * time.Minute, resync: 30 * time.Second, ownDatabase: "db_{user_uid}"}
	tries := effort{schemas: 4, tables: 150, largeObjects: 50, domains: 500}
	if long {
		work.span, tries = min(hostileSpan, e.span), effort{schemas: 24, tables: 3000, largeObjects: 5000, domains: 10_000}
	}
	w := newFixture(t, work)
	f := newFleet(t, w)
	var others []*honest
	for n := range users {
		others = append(others, &honest{outer: newOuter(w, f, n)})
	}
	attacker := &hostile{outer: newOuter(w, f, users), effort: tries}
	require.NoError(t, attacker.register(t.Context()))
	for _, h := range others {
		require.NoError(t, h.register(t.Context()))
	}
	honestly(t, others, 0) // the first of everything
	baseline := honestly(t, others, work.span)
	end := attacker.attack(t)
	beside := honestly(t, others, work.span)
	end()
	t.Logf("without: %s", baseline)
	t.Logf("beside:  %s", beside)
	for kind := range baseline {
		if ratio := float64(beside.atMost(kind, 0.99)) / float64(baseline.atMost(kind, 0.99)); long && ratio > slowdown {
			t.Errorf("%s: 99 %% take %.1f times as long beside a hostile user", kind, ratio)
		}
	}
	f.terminate(t)
}

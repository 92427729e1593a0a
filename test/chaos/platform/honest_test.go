package platform_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"
)

const (
	// moment is how often a timed user asks whether what was asked for is there.
	moment = 20 * time.Millisecond
	// pace is how often each of them begins a round of requests: if they used the whole machine, any other load would slow them
	// down, and the times would not show who waits for whom. It is no multiple of an interval of the platform, or every round would
	// meet that interval at the same phase.
	pace = 3900 * time.Millisecond
)

// honest is a user whose requests are timed.
type honest struct {
	*outer
	times times
}

// times are how long requests took, by their kind.
type times map[string][]time.Duration

// atMost returns the time that this share of the requests of a kind took at most.
func (t times) atMost(kind string, share float64) time.Duration {
	sorted := slices.Sorted(slices.Values(t[kind]))
	return sorted[min(len(sorted)-1, int(share*float64(len(sorted))))]
}

func (t times) String() string {
	var all []string
	for _, kind := range slices.Sorted(maps.Keys(t)) {
		all = append(all, fmt.Sprintf("%s %d times, half within %s, 99 %% within %s", kind, len(t[kind]),
			t.atMost(kind, 0.5).Round(time.Millisecond), t.atMost(kind, 0.99).Round(time.Millisecond)))
	}
	return strings.Join(all, "; ")
}

// honestly has the users work for a while, each of them doing one thing after the other, and returns their times.
func honestly(t *testing.T, all []*honest, span time.Duration) times {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), span+timeout)
	defer cancel()
	end := time.Now().Add(span)
	group, ctx := errgroup.WithContext(ctx)
	for _, h := range all {
		h.times = times{}
		group.Go(func() error {
			for next := time.Now(); ; {
				for _, one := range []func(context.Context) error{h.resourceTimed("rdb"), h.resourceTimed("kv"), h.domainTimed,
					h.workerTimed} {
					if err := one(ctx); err != nil {
						return fmt.Errorf("%s: %w", h.name, err)
					}
				}
				next = next.Add(pace)
				if next.After(end) {
					return nil
				}
				select {
				case <-ctx.Done():
					return ctx.Err()
				case <-time.After(time.Until(next)):
				}
			}
		})
	}
	require.NoError(t, group.Wait(), "%s", all[0].fleet.tail(t))
	sum := times{}
	for _, h := range all {
		for kind, of := range h.times {
			sum[kind] = append(sum[kind], of...)
		}
	}
	return sum
}

// timed notes how long it takes from now until done says so.
func (h *honest) timed(ctx context.Context, kind string, ask func() error, done func() (bool, error)) error {
	begin := time.Now()
	if err := ask(); err != nil {
		return fmt.Errorf("%s: %w", kind, err)
	}
	ticker := time.NewTicker(moment)
	defer ticker.Stop()
	for {
		ok, err := done()
		if err != nil {
			return fmt.Errorf("%s: %w", kind, err)
		}
		if ok {
			h.times[kind] = append(h.times[kind], time.Since(begin))
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s: %w", kind, ctx.Err())
		case <-ticker.C:
		}
	}
}

// status tells whether a query returns this status.
func (h *honest) status(ctx context.Context, want, query string, argument any) func() (bool, error) {
	return func() (bool, error) {
		var status string
		err := h.fixture.db.QueryRowContext(ctx, query, argument).Scan(&status)
		if err == nil && status == "error" {
			err = fmt.Errorf("it is an error (%v)", argument)
		}
		return status == want, err
	}
}

// resourceTimed makes a schema or a namespace and deletes it, until the Combinator pods are notified.
func (h *honest) resourceTimed(kind string) func(context.Context) error {
	return func(ctx context.Context) error {
		id := fmt.Sprintf("%016x", h.chance.Uint64())
		if err := h.fixture.write(ctx, `INSERT INTO combinator_resources (user_uid, resource_type, resource_id) VALUES ($1, $2, $3)`,
			h.name, kind, id); err != nil {
			return err
		}
		ref := map[string]string{"user_uid": h.name, "resource_id": id, "name": "a resource"}
		err := h.timed(ctx, "create_"+kind, func() error { return h.accept(ctx, "combinator.create_"+kind, ref) },
			h.status(ctx, "active", `SELECT status FROM combinator_resources WHERE resource_id = $1`, id))
		if err != nil {
			return err
		}
		if err := h.fixture.write(ctx, `DELETE FROM combinator_resources WHERE resource_id = $1`, id); err != nil {
			return err
		}
		return h.timed(ctx, "delete_"+kind, func() error { return h.accept(ctx, "combinator.delete_"+kind, ref) },
			func() (bool, error) {
				h.fixture.mu.Lock()
				defer h.fixture.mu.Unlock()
				return h.fixture.notified[id], nil
			})
	}
}

// domainTimed adds a domain whose records are right.
func (h *honest) domainTimed(ctx context.Context) error {
	cdid := fmt.Sprintf("%08x", h.chance.Uint32())
	name, value := "d"+cdid+".example.org", fmt.Sprintf("combinator-verify=%016x%016x", h.chance.Uint64(), h.chance.Uint64())
	if err := h.fixture.names.Root.Add(fmt.Sprintf("_combinator-verify.%s. 60 IN TXT %q", name, value)); err != nil {
		return err
	}
	err := h.timed(ctx, "domain", func() error {
		return h.fixture.write(ctx, `INSERT INTO custom_domains (cdid, user_uid, domain, target, txt_name, txt_value, status)
			VALUES ($1, $2, $3, $4, $5, $6, 'pending')`, cdid, h.name, name, "x.worker."+domain, "_combinator-verify."+name, value)
	}, h.status(ctx, "success", `SELECT status FROM custom_domains WHERE cdid = $1`, cdid))
	if err != nil {
		return err
	}
	return h.fixture.write(ctx, `DELETE FROM custom_domains WHERE cdid = $1`, cdid)
}

// workerTimed deploys a worker and deletes it.
func (h *honest) workerTimed(ctx context.Context) error {
	k := &desiredWorker{id: fmt.Sprintf("%sw%d", h.name, h.requests), owner: h.name}
	if err := h.fixture.read(ctx, []any{&k.row},
		`INSERT INTO workers (wid, user_uid, worker_name, assigned_cpu, assigned_memory, assigned_disk,
		max_replicas, main_region) VALUES ($1, $2, 'a worker', '', '', '', 0, '') RETURNING id`, k.id, k.owner); err != nil {
		return err
	}
	err := h.timed(ctx, "deploy", func() error { _, err := h.version(ctx, k, "registry.test/app:1"); return err },
		h.status(ctx, "success", `SELECT status FROM worker_deploy_versions WHERE worker_id = $1`, k.row))
	if err != nil {
		return err
	}
	return h.deleteWorker(ctx, k)
}

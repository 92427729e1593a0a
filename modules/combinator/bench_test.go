package combinator_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/tikv/client-go/v2/txnkv"

	"app238.com/inner/modules/combinator/internal/engine"
	"app238.com/inner/modules/combinator/internal/jobs"
)

const (
	benchRuns = 7
	benchSize = 60
	// barRatio bounds the time of Inner relative to the bare engine calls, and barGrowth the time of the last hundred of a
	// thousand schemas relative to the first hundred.
	barRatio  = 1.2
	barGrowth = 1.5
)

// figure is one line of the output.
type figure struct {
	Figure string   `json:"figure"`
	Value  float64  `json:"value"`
	Unit   string   `json:"unit"`
	Min    float64  `json:"min"`
	Max    float64  `json:"max"`
	Runs   int      `json:"runs"`
	Bar    *float64 `json:"bar,omitempty"`
}

// figures collects the measurements.
type figures struct{ all []figure }

// add adds a figure: the median of the runs. With a bar it must not exceed the bar.
func (f *figures) add(name, unit string, values []float64, bar ...float64) {
	slices.Sort(values)
	one := figure{Figure: name, Value: values[len(values)/2], Unit: unit, Min: values[0], Max: values[len(values)-1],
		Runs: len(values)}
	if len(bar) > 0 {
		one.Bar = &bar[0]
	}
	f.all = append(f.all, one)
}

// report prints the figures and fails when one exceeds its bar.
func (f *figures) report(b *testing.B) {
	b.Helper()
	for _, one := range f.all {
		require.NoError(b, json.NewEncoder(os.Stdout).Encode(one))
	}
	t := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	for _, one := range f.all {
		result := ""
		if one.Bar != nil {
			result = fmt.Sprintf("at most %g", *one.Bar)
			if one.Value > *one.Bar {
				result += ": MISSED"
				b.Errorf("%s: %.3f, at most %g", one.Figure, one.Value, *one.Bar)
			}
		}
		_, err := fmt.Fprintf(t, "%s\t%.2f %s\t%.2f to %.2f in %d runs\t%s\n", one.Figure, one.Value, one.Unit, one.Min, one.Max,
			one.Runs, result)
		require.NoError(b, err)
	}
	require.NoError(b, t.Flush())
}

// compare measures Inner's calls and bare ones in turns, so that other load on the machine affects both.
func (f *figures) compare(b *testing.B, name string, inner, bare func(run, i int) error) {
	b.Helper()
	var ours, theirs, ratios []float64
	for run := range benchRuns {
		var a, c time.Duration
		for i := range benchSize {
			a += timed(b, func() error { return inner(run, i) })
			c += timed(b, func() error { return bare(run, i) })
		}
		ours, theirs, ratios = append(ours, benchSize/a.Seconds()), append(theirs, benchSize/c.Seconds()),
			append(ratios, a.Seconds()/c.Seconds())
	}
	f.add(name+": Inner", "a second", ours)
	f.add(name+": bare engine calls", "a second", theirs)
	f.add(name+": time of Inner, in times of the bare calls", "times", ratios, barRatio)
}

func timed(b *testing.B, call func() error) time.Duration {
	b.Helper()
	begin := time.Now()
	require.NoError(b, call())
	return time.Since(begin)
}

// times returns how many calls were made in a second.
func times(b *testing.B, call func(i int) error) float64 {
	b.Helper()
	return benchSize / timed(b, func() error {
		for i := range benchSize {
			if err := call(i); err != nil {
				return err
			}
		}
		return nil
	}).Seconds()
}

// BenchmarkCombinator prints its figures as JSON lines and a table; `make bench-combinator` runs it.
func BenchmarkCombinator(b *testing.B) {
	if b.N > 1 {
		b.Fatal("run it with -benchtime 1x")
	}
	f := &figures{}
	s := setup(b)
	s.user("u1", "sk_one")
	require.NoError(b, s.run(jobs.RegisterUserType, map[string]string{"user_uid": "u1"}))
	f.growth(b, s)
	f.rdb(b, s)
	f.kv(b, s)
	f.jobs(b, s)
	f.reports(b, s)
	f.report(b)
}

// growth creates a thousand schemas, and compares the median time of the last hundred with that of the first.
func (f *figures) growth(b *testing.B, s *bundle) {
	b.Helper()
	const total, part = 1000, 100
	each := make([]float64, total)
	for i := range each {
		each[i] = timed(b, func() error {
			r := engine.Resource{UserUID: "u1", ResourceID: fmt.Sprintf("g%d", i)}
			return s.rdb.Create(b.Context(), s.tenant("u1", "sk_one"), r, s.rdb.Name(r))
		}).Seconds()
	}
	median := func(times []float64) float64 {
		slices.Sort(times)
		return times[len(times)/2]
	}
	f.add("last hundred of a thousand schemas, in times of the first", "times",
		[]float64{median(each[total-part:]) / median(each[:part])}, barGrowth)
}

func (f *figures) rdb(b *testing.B, s *bundle) {
	b.Helper()
	ctx := b.Context()
	admin := s.connect("", nil) // keeps its connection, as Inner does
	role := s.head + "u1"
	tenant := s.tenant("u1", "sk_one")
	resource := func(run, i int) engine.Resource {
		return engine.Resource{UserUID: "u1", ResourceID: fmt.Sprintf("i%dx%d", run, i)}
	}
	bare := func(statements ...string) error { return execAll(ctx, admin, statements) }
	f.compare(b, "rdb create", func(run, i int) error {
		return s.rdb.Create(ctx, tenant, resource(run, i), s.rdb.Name(resource(run, i)))
	}, func(run, i int) error {
		schema := fmt.Sprintf("user_bare_%dx%d", run, i)
		return bare(`CREATE SCHEMA `+schema, `COMMENT ON SCHEMA `+schema+` IS 'of u1'`,
			`GRANT USAGE, CREATE ON SCHEMA `+schema+` TO `+role)
	})
	f.compare(b, "rdb delete", func(run, i int) error {
		_, err := s.rdb.Delete(ctx, tenant, resource(run, i), s.rdb.Name(resource(run, i)), false)
		return err
	}, func(run, i int) error {
		// The ownership has to be read first, as several platforms may share the engine.
		schema := fmt.Sprintf("user_bare_%dx%d", run, i)
		return bare(`SELECT obj_description('`+schema+`'::REGNAMESPACE, 'pg_namespace')`, `DROP SCHEMA `+schema+` CASCADE`)
	})
	left := column(b, admin,
		`SELECT nspname FROM pg_namespace WHERE substr(nspname, 1, 5) = 'user_' AND substr(nspname, 1, 9) <> 'user_u1_g'`)
	require.Empty(b, left, "what was measured was not done")
}

// tenant returns a user as the jobs pass it to the engine.
func (b *bundle) tenant(uid, key string) engine.Tenant {
	return engine.Tenant{UserUID: uid, Key: key, Names: b.rdb.TenantNames(uid), Owned: true}
}

func execAll(ctx context.Context, db *sql.DB, statements []string) error {
	for _, statement := range statements {
		if _, err := db.ExecContext(ctx, statement); err != nil {
			return err
		}
	}
	return nil
}

func (f *figures) kv(b *testing.B, s *bundle) {
	b.Helper()
	ctx := b.Context()
	client := s.client()
	resource := func(run, i int) engine.Resource {
		return engine.Resource{UserUID: "u1", ResourceID: fmt.Sprintf("i%dx%d", run, i)}
	}
	key := func(run, i int) string { return fmt.Sprintf("%sbare_%dx%d", s.head, run, i) }
	f.compare(b, "kv create", func(run, i int) error {
		return s.kv.Create(ctx, resource(run, i), s.kv.Name(resource(run, i)))
	}, func(run, i int) error {
		return putOnce(ctx, client, key(run, i))
	})
	f.compare(b, "kv delete", func(run, i int) error {
		return s.kv.Delete(ctx, resource(run, i), s.kv.Name(resource(run, i)))
	}, func(run, i int) error {
		if err := putOnce(ctx, client, key(run, i)); err != nil {
			return err
		}
		_, err := client.DeleteRange(ctx, []byte(key(run, i)+"/"), []byte(key(run, i)+"0"), 1)
		return err
	})
}

// putOnce reads and writes one key in a transaction.
func putOnce(ctx context.Context, client *txnkv.Client, key string) error {
	tx, err := client.Begin()
	if err != nil {
		return err
	}
	_, _ = tx.Get(ctx, []byte(key)) // the key does not exist the first time
	if err := tx.Set([]byte(key), []byte(`{"user_uid":"u1","resource_id":"r1","prefix":"p","state":"active"}`)); err != nil {
		return err
	}
	return tx.Commit(ctx)
}

// jobs measures whole jobs, with their rows and the user's lease.
func (f *figures) jobs(b *testing.B, s *bundle) {
	b.Helper()
	for name, kinds := range map[string][2]string{"rdb": {jobs.CreateRDBType, jobs.DeleteRDBType},
		"kv": {jobs.CreateKVType, jobs.DeleteKVType}} {
		var created, deleted []float64
		for run := range benchRuns {
			id := func(i int) string { return fmt.Sprintf("j%s%dx%d", name, run, i) }
			for i := range benchSize {
				s.resource("u1", id(i), name)
			}
			created = append(created, times(b, func(i int) error { return s.run(kinds[0], ref("u1", id(i))) }))
			deleted = append(deleted, times(b, func(i int) error { return s.run(kinds[1], ref("u1", id(i))) }))
		}
		f.add(name+" create: whole jobs, one after the other", "a second", created)
		f.add(name+" delete: whole jobs, one after the other", "a second", deleted)
	}
}

func (f *figures) reports(b *testing.B, s *bundle) {
	b.Helper()
	s.resource("u1", "reported", "kv")
	const many = 1000
	var batched, single []float64
	moment := noon
	next := func() string {
		moment = moment.Add(time.Minute)
		return reportOf("u1", "reported", "kv", 1, moment, time.Minute)
	}
	for range benchRuns {
		all := make([]string, many)
		for i := range all {
			all[i] = next()
		}
		begin := time.Now()
		require.Equal(b, http.StatusOK, s.report("["+strings.Join(all, ",")+"]").Code)
		batched = append(batched, many/time.Since(begin).Seconds())
		single = append(single, times(b, func(int) error {
			require.Equal(b, http.StatusOK, s.report(next()).Code)
			return nil
		}))
	}
	f.add("reports in requests of a thousand", "a second", batched)
	f.add("reports in requests of their own", "a second", single)
}

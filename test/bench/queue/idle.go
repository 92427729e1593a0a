package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"syscall"
	"time"

	"go.uber.org/fx"
	"go.uber.org/zap"

	"app238.com/inner/app"
	"app238.com/inner/test/proxy"
)

// idle is the whole program with nothing to do: every module, without a cluster and without the engines of users' databases. No
// probe asks it.
type idle struct{ fixture *fixture }

func (i *idle) name() string { return "inner" }

func (i *idle) in(s scenario) func(ctx context.Context) (sample, error) {
	if !s.idle {
		return nil
	}
	return i.measure
}

// idleTicks has the periodic jobs run already.
const idleTicks = `INSERT INTO inner_ticks (name, tick, task_id)
	SELECT p.name, CAST(floor(EXTRACT(EPOCH FROM now()) / p.interval) AS BIGINT), 0
	FROM (VALUES ('auth.user_audit', 86400), ('domain.check', 43200)) AS p(name, interval)
	ON CONFLICT (name, tick) DO NOTHING`

// idleStart is how long the program takes to have done what it does once at its start.
const idleStart = 10 * time.Second

func (i *idle) measure(ctx context.Context) (_ sample, err error) {
	ctx, cancel := context.WithTimeout(ctx, cellTimeout)
	defer cancel()
	w := i.fixture
	if err := w.inner.fresh(ctx, w.options.prefill); err != nil {
		return nil, err
	}
	if _, err := w.inner.db.Exec(ctx, idleTicks); err != nil {
		return nil, err
	}
	counting, err := proxy.Start(ctx, w.inner.dsn)
	if err != nil {
		return nil, err
	}
	defer counting.Close()
	kubeconfig, err := w.idleKubeconfig()
	if err != nil {
		return nil, err
	}
	c, err := innerConfig(counting.DSN, kubeconfig)
	if err != nil {
		return nil, err
	}
	c.Domain = "bench.test"
	program := fx.New(app.Serve(c), fx.Decorate(func(*zap.Logger) *zap.Logger { return zap.NewNop() }))
	if err := program.Start(ctx); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, program.Stop(ctx)) }()
	if err := sleep(ctx, idleStart); err != nil {
		return nil, err
	}
	before := counting.Texts()
	used, err := processorTime()
	if err != nil {
		return nil, err
	}
	begin := clock()
	if err := sleep(ctx, w.options.idle); err != nil {
		return nil, err
	}
	length := (clock() - begin).Seconds()
	texts := counting.Texts()
	after, err := processorTime()
	if err != nil {
		return nil, err
	}
	sent := logTexts(texts, before, length)
	return sample{statements: float64(sent) / length, processor: 100 * (after - used).Seconds() / length}, nil
}

// logTexts logs which texts were sent since before, the most frequent first, and returns how many statements these were.
func logTexts(texts, before map[string]int, seconds float64) (sent int) {
	for text, n := range before {
		texts[text] -= n
	}
	for _, text := range slices.SortedFunc(maps.Keys(texts),
		func(a, b string) int { return cmp.Or(texts[b]-texts[a], cmp.Compare(a, b)) }) {
		if n := texts[text]; n > 0 {
			line := strings.Join(strings.Fields(text), " ")
			say("  %6.3f/s %s", float64(n)/seconds, line[:min(len(line), 100)])
			sent += n
		}
	}
	return sent
}

// processorTime returns what this process has used of the processors so far.
func processorTime() (time.Duration, error) {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		return 0, fmt.Errorf("getrusage: %w", err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano()), nil
}

// sleep waits, or returns the error of ctx.
func sleep(ctx context.Context, length time.Duration) error {
	timer := time.NewTimer(length)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

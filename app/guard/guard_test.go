package guard_test

import (
	"context"
	"errors"
	"io"
	"runtime"
	"sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"app238.com/inner/app/guard"
)

func TestWorkReturnsErrorOfPanicAndGoexit(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		work func() error
		want string
	}{
		"well":          {func() error { return nil }, ""},
		"with an error": {func() error { return io.EOF }, "EOF"},
		"by a panic":    {func() error { panic("broken") }, "panic: broken"},
		"by a panic(nil)": {func() error { panic(nil) }, //nolint:govet // that is the case
			"panic: panic called with nil argument"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, err := range []error{guard.Call(c.work), <-guard.Start(c.work)} {
				if c.want == "" {
					require.NoError(t, err)
				} else {
					require.ErrorContains(t, err, c.want)
				}
			}
		})
	}
	err := <-guard.Start(func() error {
		runtime.Goexit()
		return nil
	})
	_, ok := errors.AsType[*guard.PanicError](err)
	require.True(t, ok, "%v", err)
}

type panicking struct{ described *prometheus.Desc }

func (p panicking) Describe(to chan<- *prometheus.Desc) { to <- p.described }
func (p panicking) Collect(chan<- prometheus.Metric)    { panic("broken") }

func TestCollectorPanicLosesOwnValuesOnly(t *testing.T) {
	t.Parallel()
	r := prometheus.NewRegistry()
	require.NoError(t, r.Register(guard.Collector(panicking{prometheus.NewDesc("bad", "", nil, nil)})))
	good := prometheus.NewGauge(prometheus.GaugeOpts{Name: "good"})
	require.NoError(t, r.Register(good))
	found, err := r.Gather()
	require.ErrorContains(t, err, "broken")
	require.Len(t, found, 1)
}

func TestWaitEndsWithGroupOrContext(t *testing.T) {
	t.Parallel()
	var group sync.WaitGroup
	release := make(chan struct{})
	group.Go(func() { <-release })
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, guard.Wait(ctx, &group), context.Canceled)
	close(release)
	require.NoError(t, guard.Wait(t.Context(), &group))
}

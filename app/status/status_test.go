package status_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"app238.com/inner/app/status"
)

func component(name string, c status.Condition, err error) status.Component {
	return status.Component{Name: name, Probe: func(context.Context) (status.Report, error) {
		return status.Report{Condition: c, Text: "text"}, err
	}}
}

func TestWorstComponentDecides(t *testing.T) {
	t.Parallel()
	message := error.Error
	for want, components := range map[status.Condition][]status.Component{
		status.OK:       {component("a", status.OK, nil)},
		status.Degraded: {component("a", status.Degraded, nil), component("b", status.OK, nil)},
		status.Down: {component("a", status.OK, nil), component("b", status.OK, errors.New("no answer")),
			component("c", status.Degraded, nil)},
	} {
		platform := status.ProbeAll(t.Context(), components, time.Minute, message)
		require.Equal(t, want, platform.Condition)
		require.Len(t, platform.Components, len(components))
		for i, answer := range platform.Components {
			require.Equal(t, components[i].Name, answer.Name, "in the order of the components")
		}
	}
}

func TestProbeErrorIsRedacted(t *testing.T) {
	t.Parallel()
	platform := status.ProbeAll(t.Context(), []status.Component{component("a", status.OK, errors.New("hunter2 is wrong"))},
		time.Minute,
		func(err error) string { return strings.ReplaceAll(err.Error(), "hunter2", "***") })
	require.Equal(t, "*** is wrong", platform.Components[0].Text)
}

func TestSilentComponentTimesOut(t *testing.T) {
	t.Parallel()
	silent := status.Component{Name: "silent", Probe: func(ctx context.Context) (status.Report, error) {
		<-ctx.Done()
		return status.Report{}, ctx.Err()
	}}
	platform := status.ProbeAll(t.Context(), []status.Component{silent, component("b", status.OK, nil)}, 10*time.Millisecond,
		error.Error)
	require.Equal(t, status.Down, platform.Components[0].Condition)
	require.Equal(t, status.OK, platform.Components[1].Condition)
}

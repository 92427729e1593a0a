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

func part(name string, c status.Condition, err error) status.Component {
	return status.Component{Name: name, Probe: func(context.Context) (status.Report, error) {
		return status.Report{Condition: c, Text: "so it is"}, err
	}}
}

func TestTheWorstPartDecides(t *testing.T) {
	t.Parallel()
	asIs := error.Error
	for want, parts := range map[status.Condition][]status.Component{
		status.OK:       {part("a", status.OK, nil)},
		status.Degraded: {part("a", status.Degraded, nil), part("b", status.OK, nil)},
		status.Down:     {part("a", status.OK, nil), part("b", status.OK, errors.New("no answer")), part("c", status.Degraded, nil)},
	} {
		overview := status.ProbeAll(t.Context(), parts, time.Minute, asIs)
		require.Equal(t, want, overview.Condition)
		require.Len(t, overview.Components, len(parts))
		for i, answer := range overview.Components {
			require.Equal(t, parts[i].Name, answer.Name, "in the order of the parts")
		}
	}
}

func TestAnErrorIsShownWithoutItsSecrets(t *testing.T) {
	t.Parallel()
	overview := status.ProbeAll(t.Context(), []status.Component{part("a", status.OK, errors.New("hunter2 is wrong"))}, time.Minute,
		func(err error) string { return strings.ReplaceAll(err.Error(), "hunter2", "***") })
	require.Equal(t, "*** is wrong", overview.Components[0].Text)
}

func TestAPartThatDoesNotAnswerHoldsNobodyUp(t *testing.T) {
	t.Parallel()
	silent := status.Component{Name: "silent", Probe: func(ctx context.Context) (status.Report, error) {
		<-ctx.Done()
		return status.Report{}, ctx.Err()
	}}
	overview := status.ProbeAll(t.Context(), []status.Component{silent, part("b", status.OK, nil)}, 10*time.Millisecond, error.Error)
	require.Equal(t, status.Down, overview.Components[0].Condition)
	require.Equal(t, status.OK, overview.Components[1].Condition)
}

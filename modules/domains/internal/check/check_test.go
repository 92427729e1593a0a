package check

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"app238.com/inner/app/guard"
	"app238.com/inner/modules/domains/internal/store"
)

func TestAPanicInAStageOfChecksIsTheErrorOfTheirRun(t *testing.T) {
	t.Parallel()
	c := &Checker{atOnce: 1, log: zap.NewNop()}
	_, err := c.run(t.Context(), func(context.Context) ([]store.Claimed, bool, error) { panic("amiss") })
	_, panicked := errors.AsType[*guard.PanicError](err)
	require.True(t, panicked, "%v", err)
}

package controller_test

import (
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"go.uber.org/fx"
	"go.uber.org/zap"

	"app238.com/inner/app/config"
	"app238.com/inner/app/kube"
	"app238.com/inner/modules/controller"
	"app238.com/inner/modules/controller/rollout"
)

func TestModuleDependenciesAreComplete(t *testing.T) {
	t.Parallel()
	require.NoError(t, fx.ValidateApp(
		controller.Module, controller.Start, fx.NopLogger,
		fx.Supply(&config.Config{}, &kube.Clients{}, zap.NewNop(), prometheus.NewRegistry(),
			fx.Annotate(&fakeSource{}, fx.As(new(rollout.Source))),
			fx.Annotate(&fakeRecorder{}, fx.As(new(rollout.Recorder)))),
	))
}

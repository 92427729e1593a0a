package deploy_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
	corev1 "k8s.io/api/core/v1"

	"app238.com/inner/configs"
)

func TestMonitoringComponentsHoldTheRulesAndTheDashboard(t *testing.T) {
	t.Parallel()
	rule := byName(t, with(t, "alerts"))["PrometheusRule/inner-gateway"]
	require.NotNil(t, rule)
	var want map[string]any
	require.NoError(t, yaml.Unmarshal(configs.Alerts, &want))
	require.Equal(t, want, rule.Object["spec"], "run make generate")
	require.Equal(t, "console", rule.GetNamespace())

	board := byName(t, with(t, "dashboard"))["ConfigMap/inner-gateway-dashboard"]
	require.NotNil(t, board)
	require.Equal(t, map[string]string{
		"app.kubernetes.io/name": "inner-gateway", "app.kubernetes.io/instance": "inner-gateway",
		"app.kubernetes.io/component": "control-plane", "app.kubernetes.io/part-of": "inner-gateway", "grafana_dashboard": "1",
	}, board.GetLabels())
	require.Equal(t, map[string]string{"dashboard.json": string(configs.Dashboard)}, read[corev1.ConfigMap](t, board).Data)
}

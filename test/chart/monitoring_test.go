package chart_test

import (
	"maps"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestMonitoringFitsTheOperatorsPrometheus(t *testing.T) {
	t.Parallel()
	values := maps.Clone(minimal)
	values["tls"] = object{"enabled": true}
	values["serviceMonitor"] = object{"enabled": true, "labels": object{"release": "prometheus"}}
	values["alerts"] = object{"enabled": true, "labels": object{"release": "prometheus"}}
	all := byHelm(t, values, "default")
	for _, key := range []string{"ServiceMonitor/console/inner-gateway", "PrometheusRule/console/inner-gateway"} {
		require.Equal(t, "prometheus", at(all[key], "metadata", "labels")["release"], key)
	}
	endpoints, _ := at(all["ServiceMonitor/console/inner-gateway"], "spec")["endpoints"].([]any)
	endpoint, _ := endpoints[0].(object)
	require.Equal(t, "https", endpoint["scheme"])
	require.Equal(t, object{"serverName": "inner-gateway.console.svc"}, endpoint["tlsConfig"])
}

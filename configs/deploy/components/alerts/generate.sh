#!/bin/sh
# Writes prometheusrule.yaml from configs/monitoring/alerts.yaml.
set -eu
cd "$(dirname "$0")"
{
	cat <<-'END'
		# Generated from configs/monitoring/alerts.yaml by `make generate`.
		apiVersion: monitoring.coreos.com/v1
		kind: PrometheusRule
		metadata:
		  name: inner-gateway
		  namespace: console
		spec:
	END
	sed -e '/^#/d' -e 's/^/  /' ../../../monitoring/alerts.yaml
} >prometheusrule.yaml

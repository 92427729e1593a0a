// Package configs carries the files that describe Inner Gateway to its operators into the program.
package configs

import _ "embed"

//go:generate deploy/components/alerts/generate.sh

// Defaults is inner.yaml: every setting, its meaning and its default.
//
//go:embed inner.yaml
var Defaults []byte

// Alerts is monitoring/alerts.yaml, rules for Prometheus.
//
//go:embed monitoring/alerts.yaml
var Alerts []byte

// Dashboard is monitoring/dashboard.json, for Grafana.
//
//go:embed monitoring/dashboard.json
var Dashboard []byte

// WorkerAppCRD is the CustomResourceDefinition of WorkerApp.
//
//go:embed crd/workerapps.yaml
var WorkerAppCRD []byte

// Package configs carries the files that describe Inner Gateway to its operators into the program.
package configs

import _ "embed"

// Defaults is inner.yaml: every setting, its meaning and its default.
//
//go:embed inner.yaml
var Defaults []byte

// WorkerAppCRD is the CustomResourceDefinition of WorkerApp.
//
//go:embed crd/workerapps.yaml
var WorkerAppCRD []byte

// Package openapi holds and serves the OpenAPI description of the HTTP interface.
package openapi

import (
	_ "embed"
	"net/http"

	"app238.com/inner/app/config"
	"app238.com/inner/app/server"
)

// Document is the description, OpenAPI 3.1 as YAML.
//
//go:embed openapi.yaml
var Document []byte

// Routes returns GET /openapi.yaml.
func Routes() []server.Route {
	return []server.Route{{Method: http.MethodGet, Path: "/openapi.yaml", Access: config.OperationRoutes,
		Handler: func(w http.ResponseWriter, _ *http.Request) error {
			w.Header().Set("Content-Type", "application/yaml")
			_, err := w.Write(Document)
			return err
		}}}
}

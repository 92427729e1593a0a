package build

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
)

// manifestSource is a published module that carries manifests among its files.
type manifestSource struct {
	// checksum is the module's, as a go.sum would hold it. These modules are not built, so no go.sum holds them.
	checksum string
	files    string // a pattern
	name     string
	path     string
	version  string
}

func manifestSources() []manifestSource {
	return []manifestSource{
		{
			checksum: "h1:UWgoYM+KLNtRlqmoWOKjKBOBUPVHeepQ6/ac3ERJW68=",
			files:    "deploy/crds/*.yaml",
			name:     "cert-manager",
			path:     "github.com/cert-manager/cert-manager",
			version:  "v1.21.2",
		},
		{
			checksum: "h1:M5xLCLEoaW2IJfnuCwFzzpL+jSVQu3KGT84Pye+fW8s=",
			files:    "example/prometheus-operator-crd/monitoring.coreos.com_servicemonitors.yaml",
			name:     "prometheus-operator",
			path:     "github.com/prometheus-operator/prometheus-operator",
			version:  "v0.85.0",
		},
		{
			checksum: "h1:M5xLCLEoaW2IJfnuCwFzzpL+jSVQu3KGT84Pye+fW8s=",
			files:    "example/prometheus-operator-crd/monitoring.coreos.com_prometheusrules.yaml",
			name:     "prometheus-operator-rules",
			path:     "github.com/prometheus-operator/prometheus-operator",
			version:  "v0.85.0",
		},
		{
			checksum: "h1:T8wy9KuaFzCkmXCqAzDy7t73pBDR1DHrJe3pqXpNXTw=",
			files:    "docs/content/reference/dynamic-configuration/kubernetes-crd-definition-v1.yml",
			name:     "traefik",
			path:     "github.com/traefik/traefik/v3",
			version:  "v3.7.13",
		},
	}
}

// Manifests returns the files that define the resources of Traefik, cert-manager and the Prometheus Operator, fetched first where
// missing.
func Manifests(ctx context.Context, opts Options) ([]string, error) {
	opts, err := opts.withDefaults()
	if err != nil {
		return nil, err
	}
	var all []string
	for _, source := range manifestSources() {
		name := fmt.Sprintf("manifests-%s-%s", source.name, source.version)
		dir, err := cached(ctx, opts, name, func(dir string) error {
			return source.fetch(ctx, opts, dir)
		})
		if err != nil {
			return nil, err
		}
		files, err := filepath.Glob(filepath.Join(dir, "*"))
		if err != nil {
			return nil, fmt.Errorf("list %s: %w", dir, err)
		}
		all = append(all, files...)
	}
	return all, nil
}

func (s manifestSource) fetch(ctx context.Context, opts Options, dir string) error {
	defer report(opts.Log, "fetching manifests of "+s.path+"@"+s.version)()
	downloaded, err := fetchModule(ctx, dir, s.path, s.version, s.checksum)
	if err != nil {
		return err
	}
	files, err := filepath.Glob(filepath.Join(downloaded, filepath.FromSlash(s.files)))
	if err != nil {
		return fmt.Errorf("fetch %s: %w", s.path, err)
	}
	if len(files) == 0 {
		return fmt.Errorf("fetch %s: no file is named %s", s.path, s.files)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			return fmt.Errorf("fetch %s: %w", s.path, err)
		}
		if err := os.WriteFile(filepath.Join(dir, filepath.Base(file)), data, 0o644); err != nil {
			return fmt.Errorf("fetch %s: %w", s.path, err)
		}
	}
	return nil
}

package build

import (
	"context"
	"fmt"
	"path/filepath"
)

const (
	// tikvModules is where the modules of the placement driver and of the store lie in the clone.
	tikvModules = "test/tikv"
	// placementDriver and store are the programs' files.
	placementDriver = "pd-server"
	store           = "unistore"
)

// TiKVPrograms are the paths of the programs of a TiKV cluster.
type TiKVPrograms struct {
	// PlacementDriver is PD.
	PlacementDriver string
	// Store is a TiKV server.
	Store string
}

// TiKV returns the programs of a TiKV cluster, built first where they are missing.
func TiKV(ctx context.Context, opts Options) (TiKVPrograms, error) {
	opts, err := opts.withDefaults()
	if err != nil {
		return TiKVPrograms{}, err
	}
	root := filepath.Join(opts.Root, tikvModules)
	key, err := sourceKey(ctx, root)
	if err != nil {
		return TiKVPrograms{}, err
	}
	dir, err := cached(ctx, opts, "tikv-"+key, func(dir string) error {
		stop := report(opts.Log,
			"building PD and a TiKV server (the first build takes 2 to 4 minutes on two cores, later starts reuse it)")
		defer stop()
		// The two need different versions of the same libraries.
		for program, pkg := range map[string]string{placementDriver: "github.com/tikv/pd/cmd/pd-server", store: "."} {
			module := filepath.Join(root, map[string]string{placementDriver: "pd", store: "store"}[program])
			_, err := runGo(ctx, module, "build", "-trimpath", "-buildvcs=false", "-tags", "without_dashboard",
				"-ldflags", "-s -w", "-o", filepath.Join(dir, program), pkg)
			if err != nil {
				return fmt.Errorf("build %s: %w", program, err)
			}
		}
		return nil
	})
	if err != nil {
		return TiKVPrograms{}, err
	}
	return TiKVPrograms{PlacementDriver: filepath.Join(dir, placementDriver), Store: filepath.Join(dir, store)}, nil
}

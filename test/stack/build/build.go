// Package build makes the programs and manifests of the test stack, once, into a cache that all clones share.
package build

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// EnvCache names the environment variable that holds the cache's folder.
const EnvCache = "INNER_CACHE"

// clusterModule is where the control plane's module lies in the clone.
const clusterModule = "test/cluster"

// Options says where things are; its zero value fits a program run inside the clone.
type Options struct {
	// Cache is the folder that results are kept in; $INNER_CACHE or else the user's cache folder unless set.
	Cache string
	// Log receives progress; standard error unless set.
	Log io.Writer
	// Root is the clone; searched upward from the working directory unless set.
	Root string
}

func (o Options) withDefaults() (Options, error) {
	var err error
	if o.Log == nil {
		o.Log = os.Stderr
	}
	if o.Root == "" {
		if o.Root, err = findRoot(); err != nil {
			return o, err
		}
	}
	if o.Cache == "" {
		if o.Cache, err = cacheDir(); err != nil {
			return o, err
		}
	}
	if o.Cache, err = filepath.Abs(o.Cache); err != nil {
		return o, fmt.Errorf("find the cache: %w", err)
	}
	if err := os.MkdirAll(o.Cache, 0o755); err != nil {
		return o, fmt.Errorf("make the cache: %w", err)
	}
	return o, nil
}

func cacheDir() (string, error) {
	if dir := os.Getenv(EnvCache); dir != "" {
		return dir, nil
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("find a cache folder, or set %s: %w", EnvCache, err)
	}
	return filepath.Join(dir, "inner-gateway"), nil
}

func findRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("find the clone: %w", err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, clusterModule, "go.mod")); err == nil {
			return dir, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", errors.New("not inside a clone: no " + clusterModule + "/go.mod here or above")
		}
		dir = parent
	}
}

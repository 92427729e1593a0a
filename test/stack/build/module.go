package build

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
)

// fetchModule returns the folder of a published module whose checksum is the given one. The go command runs in dir.
func fetchModule(ctx context.Context, dir, path, version, checksum string) (string, error) {
	module := path + "@" + version
	output, err := runGo(ctx, dir, "mod", "download", "-json", module)
	if err != nil {
		return "", fmt.Errorf("fetch %s: %w", module, err)
	}
	var downloaded struct{ Dir, Sum string }
	if err := json.Unmarshal(output, &downloaded); err != nil {
		return "", fmt.Errorf("fetch %s: read the go command's answer: %w", module, err)
	}
	if downloaded.Sum != checksum {
		return "", fmt.Errorf("fetch %s: its checksum is %s, not %s", module, downloaded.Sum, checksum)
	}
	return downloaded.Dir, nil
}

// moduleProgram is a program of a published module, which is built as its own go.mod says: replacements and
// exclusions hold nowhere else.
type moduleProgram struct {
	// change adapts the copy of the module that is built; nil where it is built as it is.
	change   func(ctx context.Context, copied string) error
	checksum string
	flags    []string // of go build
	name     string
	path     string
	pkg      string // relative to the module
	version  string
}

// build returns the path of the program, built first where it is missing.
func (p moduleProgram) build(ctx context.Context, opts Options) (string, error) {
	opts, err := opts.withDefaults()
	if err != nil {
		return "", err
	}
	dir, err := cached(ctx, opts, p.name+"-"+p.version, func(dir string) error {
		defer report(opts.Log, "building "+p.name+" "+p.version+" (some minutes on two cores, later starts reuse it)")()
		module, err := fetchModule(ctx, dir, p.path, p.version, p.checksum)
		if err != nil {
			return err
		}
		source := filepath.Join(dir, "source")
		if err := os.CopyFS(source, os.DirFS(module)); err != nil {
			return fmt.Errorf("copy %s: %w", p.path, err)
		}
		if p.change != nil {
			if err := p.change(ctx, source); err != nil {
				return fmt.Errorf("change %s: %w", p.path, err)
			}
		}
		arguments := append([]string{"build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w", "-o", filepath.Join(dir, p.name)},
			p.flags...)
		if _, err := runGo(ctx, source, append(arguments, "./"+p.pkg)...); err != nil {
			return fmt.Errorf("build %s: %w", p.name, err)
		}
		return os.RemoveAll(source)
	})
	if err != nil {
		return "", err
	}
	return filepath.Join(dir, p.name), nil
}

package build

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// unpackDebian returns a folder that holds the files of Debian packages and of those that they depend on, as far as
// they are not installed. Nothing is installed: no service starts and no file lands elsewhere. Links name files of
// the packages by further names, as Debian's alternatives do: link to target.
func unpackDebian(ctx context.Context, opts Options, name string, packages []string, links map[string]string) (string, error) {
	opts, err := opts.withDefaults()
	if err != nil {
		return "", err
	}
	return cached(ctx, opts, name, func(dir string) error {
		defer report(opts.Log, fmt.Sprintf("fetching Debian's %v", packages))()
		archives := filepath.Join(dir, "archives")
		if err := downloadDebian(ctx, opts, archives, packages); err != nil {
			return fmt.Errorf("fetch Debian's %v: %w", packages, err)
		}
		files, err := filepath.Glob(filepath.Join(archives, "*.deb"))
		if err != nil {
			return err
		}
		for _, file := range files {
			if output, err := exec.CommandContext(ctx, "dpkg-deb", "-x", file, dir).CombinedOutput(); err != nil {
				return fmt.Errorf("unpack %s: %w\n%s", filepath.Base(file), err, lastBytes(string(output)))
			}
		}
		for link, target := range links {
			if err := os.Symlink(target, filepath.Join(dir, link)); err != nil && !errors.Is(err, os.ErrExist) {
				return fmt.Errorf("unpack: %w", err)
			}
		}
		return os.RemoveAll(archives)
	})
}

func downloadDebian(ctx context.Context, opts Options, archives string, packages []string) error {
	apt, err := exec.LookPath("apt-get")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Join(archives, "partial"), 0o755); err != nil {
		return err
	}
	unlock, err := lock(ctx, opts, "debian")
	if err != nil {
		return err
	}
	defer unlock()
	return aptInstall(ctx, apt, append([]string{"--download-only", "-o", "Dir::Cache::archives=" + archives,
		"-o", "APT::Sandbox::User=root"}, packages...)...)
}

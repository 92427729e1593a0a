package build

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// keyLength is enough of the hash to tell a clone's few versions apart.
const keyLength = 16

// sourceKey names what a build of the module would give: a hash of its sources, its toolchain and its flags.
func sourceKey(ctx context.Context, module string) (string, error) {
	toolchain, err := runGo(ctx, module, "env", "GOVERSION", "GOOS", "GOARCH")
	if err != nil {
		return "", err
	}
	hash := sha256.New()
	hash.Write(fmt.Appendf(nil, "%s\n%s\n", toolchain, linkerFlags()))
	err = filepath.WalkDir(module, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !isSource(entry.Name()) {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		name, err := filepath.Rel(module, path)
		if err != nil {
			return err
		}
		hash.Write(fmt.Appendf(nil, "%s %d\n%s", filepath.ToSlash(name), len(data), data))
		return nil
	})
	if err != nil {
		return "", fmt.Errorf("hash %s: %w", module, err)
	}
	return hex.EncodeToString(hash.Sum(nil))[:keyLength], nil
}

func isSource(name string) bool {
	if name == "go.mod" || name == "go.sum" {
		return true
	}
	return strings.HasSuffix(name, ".go") && !strings.HasSuffix(name, "_test.go")
}

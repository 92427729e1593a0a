package controlplane

import (
	"bytes"
	"embed"
	"fmt"
	"io/fs"
	"os"
)

// stages say how the simulated kubelet plays nodes and pods; the names of images choose among healthy and failing.
//
//go:embed stages/*.yaml
var stages embed.FS

// writeStages writes all stages into one file.
func writeStages(path string) error {
	names, err := fs.Glob(stages, "stages/*.yaml")
	if err != nil {
		return fmt.Errorf("list stages: %w", err)
	}
	var all bytes.Buffer
	for _, name := range names {
		data, err := stages.ReadFile(name)
		if err != nil {
			return fmt.Errorf("read %s: %w", name, err)
		}
		fmt.Fprintf(&all, "---\n%s", data)
	}
	if err := os.WriteFile(path, all.Bytes(), 0o600); err != nil {
		return fmt.Errorf("write stages: %w", err)
	}
	return nil
}

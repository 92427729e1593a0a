package realnode

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"app238.com/inner/test/realnode/network"
)

// PauseImage is the image of the containers that stand for pods; its program does nothing. Its tag is not latest, which
// would be pulled.
const PauseImage = "localhost/pause:1"

// files are the programs' configuration; words between @ stand for what differs between nodes.
//
//go:embed files
var files embed.FS

// writeFiles writes the programs' configuration and has names be resolved by the cluster.
func (n *Node) writeFiles() error {
	words := strings.NewReplacer(
		"@BRIDGE@", network.Bridge,
		"@DIR@", n.place.Dir,
		"@GROUP@", n.place.Group,
		"@INTERNET@", network.Internet,
		"@KUBECONFIG@", n.controlPlane.Kubeconfig(),
		"@NODE@", network.Node,
		"@PAUSE@", PauseImage,
		"@PODS@", network.Pods,
	)
	entries, err := fs.ReadDir(files, "files")
	if err != nil {
		return fmt.Errorf("list files: %w", err)
	}
	networks := filepath.Join(n.place.Dir, "cni", "net.d")
	if err := errors.Join(os.MkdirAll(networks, 0o755), os.MkdirAll(filepath.Join(n.place.Dir, "run"), 0o755)); err != nil {
		return fmt.Errorf("make folders: %w", err)
	}
	for _, entry := range entries {
		data, err := fs.ReadFile(files, "files/"+entry.Name())
		if err != nil {
			return fmt.Errorf("read %s: %w", entry.Name(), err)
		}
		folder := n.place.Dir
		if filepath.Ext(entry.Name()) == ".conflist" {
			folder = networks
		}
		// In place: resolv.conf is the sandbox's.
		if err := os.WriteFile(filepath.Join(folder, entry.Name()), []byte(words.Replace(string(data))), 0o644); err != nil {
			return fmt.Errorf("write %s: %w", entry.Name(), err)
		}
	}
	return nil
}

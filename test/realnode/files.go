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
	words := []string{
		"@BRIDGE@", network.Bridge,
		"@DIR@", n.place.Dir,
		"@INTERNET@", network.Internet,
		"@KUBECONFIG@", n.controlPlane.Kubeconfig(),
		"@NODE@", network.Node,
		"@PAUSE@", PauseImage,
		"@PODS@", network.Pods,
	}
	networks := filepath.Join(n.place.Dir, "cni", "net.d")
	err := errors.Join(write("files", n.place.Dir, words), write("files/networks", networks, words))
	for _, m := range n.machines {
		err = errors.Join(err, write("files/machine", m.folder, append(m.words(), words...)),
			os.MkdirAll(filepath.Join(m.folder, "run"), 0o755))
	}
	return err
}

// write writes one folder of files into another, in place: resolv.conf is the sandbox's.
func write(from, into string, words []string) error {
	entries, err := fs.ReadDir(files, from)
	if err != nil {
		return fmt.Errorf("list files: %w", err)
	}
	if err := os.MkdirAll(into, 0o755); err != nil {
		return fmt.Errorf("make a folder: %w", err)
	}
	replacer := strings.NewReplacer(words...)
	for _, entry := range entries {
		if entry.IsDir() {
			continue
		}
		data, err := fs.ReadFile(files, from+"/"+entry.Name())
		if err != nil {
			return fmt.Errorf("read %s: %w", entry.Name(), err)
		}
		if err := os.WriteFile(filepath.Join(into, entry.Name()), []byte(replacer.Replace(string(data))), 0o644); err != nil {
			return fmt.Errorf("write %s: %w", entry.Name(), err)
		}
	}
	return nil
}

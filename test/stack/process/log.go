package process

import (
	"fmt"
	"io"
	"os"
	"strings"
)

// tailBytes and tailLines bound what Tail shows: enough for a stack of errors, little enough to read.
const (
	tailBytes = 16 << 10
	tailLines = 25
)

// Tail returns the last lines of the program's log.
func (p *Process) Tail() string {
	if p.spec.Attached {
		return "(no log)"
	}
	text, err := tail(p.spec.LogFile)
	if err != nil {
		return fmt.Sprintf("(log unreadable: %v)", err)
	}
	return fmt.Sprintf("--- end of %s\n%s", p.spec.LogFile, text)
}

func tail(path string) (string, error) {
	file, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer func() { _ = file.Close() }()
	size, err := file.Seek(0, io.SeekEnd)
	if err != nil {
		return "", err
	}
	if _, err := file.Seek(max(0, size-tailBytes), io.SeekStart); err != nil {
		return "", err
	}
	data, err := io.ReadAll(io.LimitReader(file, tailBytes))
	if err != nil {
		return "", err
	}
	lines := strings.Split(strings.TrimRight(string(data), "\n"), "\n")
	return strings.Join(lines[max(0, len(lines)-tailLines):], "\n"), nil
}

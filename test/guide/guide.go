// Package guide reads the shell blocks of the documents and has sh run them. The comment above a block names the test that runs
// it, `<!-- run by TestName -->`, or says why none does, `<!-- not run: reason -->`.
package guide

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Block is one block of a document that is marked as sh.
type Block struct {
	// Line is where the block begins.
	Line int
	// Script is its text.
	Script string
	// Test runs it; "" if Reason says why none does.
	Test, Reason string
}

var (
	fence   = regexp.MustCompile("^( *)```([a-z]*)$")
	comment = regexp.MustCompile(`^ *<!-- (?:run by (Test[A-Za-z0-9]+)|not run: (.+)) -->$`)
)

// Blocks returns the shell blocks of a document's text.
func Blocks(text string) (blocks []Block, err error) {
	lines := strings.Split(text, "\n")
	for i := 0; i < len(lines); i++ {
		open := fence.FindStringSubmatch(lines[i])
		if open == nil {
			continue
		}
		first := i + 1
		for i++; i < len(lines) && strings.TrimSpace(lines[i]) != "```"; i++ {
			lines[i] = strings.TrimPrefix(lines[i], open[1])
		}
		switch open[2] {
		case "sh":
			block := Block{Line: first, Script: strings.Join(lines[first:i], "\n") + "\n"}
			if marked := comment.FindStringSubmatch(lines[max(first-2, 0)]); marked != nil {
				block.Test, block.Reason = marked[1], marked[2]
			}
			blocks = append(blocks, block)
		case "bash", "shell", "console", "zsh":
			err = errors.Join(err, fmt.Errorf("line %d: a block of %s; commands are blocks of sh", first, open[2]))
		}
	}
	return blocks, err
}

// Of returns the blocks of a document that the named test runs, in order.
func Of(t *testing.T, file string) (scripts []string) {
	t.Helper()
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	blocks, err := Blocks(string(text))
	require.NoError(t, err)
	name, _, _ := strings.Cut(t.Name(), "/")
	for _, block := range blocks {
		if block.Test == name {
			scripts = append(scripts, block.Script)
		}
	}
	require.NotEmpty(t, scripts, "%s names no block for %s", file, name)
	return scripts
}

// Run has sh run a script in a folder until a command of it fails, and returns what it printed.
func Run(ctx context.Context, folder, script string, environment ...string) (output string, err error) {
	cmd := exec.CommandContext(ctx, "sh", "-eux")
	cmd.Dir, cmd.Env, cmd.Stdin = folder, append(os.Environ(), environment...), strings.NewReader(script)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return string(out), nil
}

// Check has sh read a script without running it.
func Check(ctx context.Context, script string) error {
	cmd := exec.CommandContext(ctx, "sh", "-n")
	cmd.Stdin = strings.NewReader(script)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	return nil
}

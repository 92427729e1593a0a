package main

import (
	"context"
	"errors"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"
)

// watchInterval is the time between two outputs of --watch.
const watchInterval = 2 * time.Second

// watch is the flag --watch of a command that shows something.
type watch struct{ enabled bool }

func addWatchFlag(cmd *cobra.Command) *watch {
	w := &watch{}
	cmd.Flags().BoolVarP(&w.enabled, "watch", "w", false, "show it again every "+watchInterval.String()+" until interrupted")
	return w
}

// run calls read and then what it returned, which writes the output: once or, with --watch, until ctx is cancelled. On a terminal
// the output replaces the previous one.
func (w *watch) run(ctx context.Context, cmd *cobra.Command, read func() (write func() error, err error)) error {
	if !w.enabled {
		write, err := read()
		if err != nil {
			return err
		}
		return write()
	}
	ticker := time.NewTicker(watchInterval)
	defer ticker.Stop()
	for {
		write, err := read()
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		begin, end := screenOf(cmd.OutOrStdout())
		_, beginErr := io.WriteString(cmd.OutOrStdout(), begin)
		err = write()
		_, endErr := io.WriteString(cmd.OutOrStdout(), end)
		if err := errors.Join(beginErr, err, endErr); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// screenOf returns what clears a terminal before an output, and what separates two outputs elsewhere.
func screenOf(w io.Writer) (begin, end string) {
	if file, ok := w.(*os.File); ok && term.IsTerminal(int(file.Fd())) {
		return "\x1b[H\x1b[2J\x1b[3J", ""
	}
	return "", "\n"
}

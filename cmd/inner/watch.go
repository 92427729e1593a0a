package main

import (
	"context"
	"io"
	"time"

	"github.com/spf13/cobra"

	"app238.com/inner/app"
	"app238.com/inner/app/logging"
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
// the output replaces the previous one. An error of the first reading ends it, since the call itself may be wrong; a later one is
// shown, and the readings go on.
func (w *watch) run(ctx context.Context, cmd *cobra.Command, read func() (write func() error, err error)) error {
	write, err := read()
	if w.enabled && ctx.Err() != nil {
		return nil
	}
	if err != nil {
		return err
	}
	if !w.enabled {
		return write()
	}
	shown := displayOf(cmd)
	ticker := time.NewTicker(watchInterval)
	defer ticker.Stop()
	for {
		if err != nil {
			err = shown.problem(app.UserMessage(err))
		} else {
			err = shown.show(write)
		}
		if err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		write, err = read()
		if ctx.Err() != nil {
			return nil
		}
	}
}

// display is where --watch shows its readings.
type display interface {
	// show shows what write writes.
	show(write func() error) error
	// problem shows why a reading failed.
	problem(text string) error
}

func displayOf(cmd *cobra.Command) display {
	if file, ok := terminalOf(cmd.OutOrStdout()); ok {
		return &screen{cmd: cmd, file: file}
	}
	return &stream{cmd: cmd}
}

// stream writes one output after the other.
type stream struct {
	cmd   *cobra.Command
	begun bool
}

// show writes an output: YAML as a document of its own, anything else with an empty line after it.
func (s *stream) show(write func() error) error {
	begin, end := "", "\n"
	if flag := s.cmd.Flag("output"); flag != nil && flag.Value.String() == string(yamlFormat) {
		begin, end = "---\n", ""
	}
	if !s.begun {
		begin = ""
	}
	s.begun = true
	out := s.cmd.OutOrStdout()
	if _, err := io.WriteString(out, begin); err != nil {
		return err
	}
	if err := write(); err != nil {
		return err
	}
	_, err := io.WriteString(out, end)
	return err
}

// problem writes it beside the outputs, which a program may read.
func (s *stream) problem(text string) error {
	_, err := io.WriteString(s.cmd.ErrOrStderr(), "inner: "+logging.Printable(text)+"\n")
	return err
}

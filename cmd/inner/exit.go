package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"app238.com/inner/app/config"
	"app238.com/inner/app/nearest"
	"app238.com/inner/modules/tasks/job"
)

// Exit statuses, documented in the long help of inner.
const (
	exitFailure  = 1
	exitUsage    = 2
	exitDegraded = 3
	// exitSignal plus the signal's number, as in shells, is the status when a second signal ended the program.
	exitSignal = 128
)

// usageError reports an invalid call: nothing was started.
type usageError struct{ error }

// Unwrap returns why the call is invalid.
func (e usageError) Unwrap() error { return e.error }

// errDegraded is the error of inner status when a component is degraded or down.
var errDegraded = errors.New("the platform is degraded")

// exitStatus returns the exit status for what a command returned.
func exitStatus(err error) int {
	_, usage := errors.AsType[usageError](err)
	_, setting := errors.AsType[config.Error](err)
	switch {
	case err == nil:
		return 0
	case usage, setting, errors.Is(err, job.ErrInvalid):
		return exitUsage
	case errors.Is(err, errDegraded):
		return exitDegraded
	}
	return exitFailure
}

// markUsageErrors turns errors of flags and arguments, and unknown commands, into a usageError, for cmd and all below it.
func markUsageErrors(cmd *cobra.Command) {
	if !cmd.Runnable() {
		// Otherwise cobra answers an unknown subcommand with the help text, as a success.
		cmd.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
	}
	cmd.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error { return usageError{withFlagHint(cmd, err)} })
	if check := cmd.Args; check != nil {
		cmd.Args = func(cmd *cobra.Command, args []string) error {
			err := check(cmd, args)
			if err != nil && cmd.HasAvailableSubCommands() {
				err = unknownCommand(cmd, args[0])
			}
			if err == nil {
				err = cmd.ValidateFlagGroups() // mutually exclusive flags
			}
			if err != nil {
				return usageError{err}
			}
			return nil
		}
	}
	for _, sub := range cmd.Commands() {
		markUsageErrors(sub)
	}
}

// unknownCommand suggests the nearest command below cmd.
func unknownCommand(cmd *cobra.Command, name string) error {
	var names []string
	for _, sub := range cmd.Commands() {
		if sub.IsAvailableCommand() {
			names = append(names, sub.Name())
		}
	}
	return fmt.Errorf("unknown command %q for %q%s", name, cmd.CommandPath(), nearest.Hint(name, names))
}

// withFlagHint suggests the flag that is nearest to an unknown one.
func withFlagHint(cmd *cobra.Command, err error) error {
	unknown, ok := errors.AsType[*pflag.NotExistError](err)
	if !ok {
		return err
	}
	var names []string
	cmd.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, "--"+f.Name) })
	return fmt.Errorf("%w%s", err, nearest.Hint("--"+unknown.GetSpecifiedName(), names))
}

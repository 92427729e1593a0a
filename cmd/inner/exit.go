package main

import (
	"errors"

	"github.com/spf13/cobra"

	"app238.com/inner/app/config"
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
	cmd.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	if check := cmd.Args; check != nil {
		cmd.Args = func(cmd *cobra.Command, args []string) error {
			err := check(cmd, args)
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

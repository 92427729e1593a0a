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
	// exitSignal and the signal's number, as shells have it, where a second signal ended the program.
	exitSignal = 128
)

// usageError says that the program was called in a way in which it cannot begin.
type usageError struct{ error }

// Unwrap returns what is wrong with the call.
func (e usageError) Unwrap() error { return e.error }

// errDegraded says that inner status found something that is not as it should be.
var errDegraded = errors.New("not everything is as it should be")

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

// markUsageErrors has every fault of flags and arguments, and unknown commands, end as usageError, in cmd and all below it.
func markUsageErrors(cmd *cobra.Command) {
	if !cmd.Runnable() {
		// Otherwise an unknown command below it would be answered with its help, as a success.
		cmd.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
	}
	cmd.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	if check := cmd.Args; check != nil {
		cmd.Args = func(cmd *cobra.Command, args []string) error {
			err := check(cmd, args)
			if err == nil {
				err = cmd.ValidateFlagGroups() // flags that exclude each other
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

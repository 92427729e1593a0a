package job

import (
	"errors"

	"app238.com/inner/app/logging"
)

// outward returns a job's error as it may leave the job, for rows, logs and traces alike: its texts hold no value of the
// task's Secret, and those of its causes nothing of what observe.Redact finds either. What it is stays as it was.
func redactError(err error, info, erased []byte) error {
	if err == nil {
		return nil
	}
	hidden := logging.Hide(Prepared{Info: info, Erased: erased}.SecretValues()...)
	e, ok := errors.AsType[*Error](err)
	if !ok {
		return redactedError{hidden.Text(err.Error()), err}
	}
	clean := *e
	clean.Text = hidden.Values(e.Text)
	if e.Cause != nil {
		clean.Cause = redactedError{hidden.Text(e.Cause.Error()), e.Cause}
	}
	return &clean
}

// cleaned is an error that says something else than the one that it is.
type redactedError struct {
	text string
	is   error
}

// Error implements error.
func (c redactedError) Error() string { return c.text }

// Unwrap returns the error that it is; its text is not to be shown.
func (c redactedError) Unwrap() error { return c.is }

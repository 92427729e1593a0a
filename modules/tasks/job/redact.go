package job

import (
	"encoding/json"
	"errors"

	"app238.com/inner/app/logging"
)

// SecretValues returns the strings in Info that are not in Erased: the values that must not be logged. It returns none for
// payloads that are not a Secret.
func (p Prepared) SecretValues() []string {
	if p.Erased == nil {
		return nil
	}
	public, all := map[string]bool{}, map[string]bool{}
	collectJSONStrings(p.Erased, public)
	collectJSONStrings(p.Info, all)
	var secret []string
	for text := range all {
		if !public[text] {
			secret = append(secret, text)
		}
	}
	return secret
}

// collectJSONStrings adds the strings of a JSON document to a set. It ignores invalid JSON.
func collectJSONStrings(encoded []byte, into map[string]bool) {
	var value any
	if json.Unmarshal(encoded, &value) != nil {
		return
	}
	collectStrings(value, into)
}

func collectStrings(value any, into map[string]bool) {
	switch v := value.(type) {
	case string:
		into[v] = true
	case []any:
		for _, one := range v {
			collectStrings(one, into)
		}
	case map[string]any:
		for _, one := range v {
			collectStrings(one, into)
		}
	}
}

// redactError removes secrets from a job's error, for rows, logs and traces: its texts contain no value of the task's Secret,
// and those of its causes nothing that logging.Redact finds. The types of the errors stay.
func redactError(err error, info, erased []byte) error {
	if err == nil {
		return nil
	}
	secrets := logging.Hide(Prepared{Info: info, Erased: erased}.SecretValues()...)
	e, ok := errors.AsType[*Error](err)
	if !ok {
		return redactedError{secrets.Text(err.Error()), err}
	}
	redacted := *e
	redacted.Text = secrets.Values(e.Text)
	if e.Cause != nil {
		redacted.Cause = redactedError{secrets.Text(e.Cause.Error()), e.Cause}
	}
	return &redacted
}

// redactedError replaces the text of an error.
type redactedError struct {
	text string
	err  error
}

// Error implements error.
func (e redactedError) Error() string { return e.text }

// Unwrap returns the original error; its text must not be shown.
func (e redactedError) Unwrap() error { return e.err }

package admin

import (
	"encoding/json"
	"strings"

	"app238.com/inner/modules/tasks/internal/store"
	"app238.com/inner/modules/tasks/job"
)

// redactedInfo returns the payload as JSON without secrets, or nil if it must not be shown: an encrypted payload of an
// unknown type may contain any.
func (a *Admin) redactedInfo(jobType string, p store.Payload) json.RawMessage {
	if d, ok := a.registry.Find(jobType); ok && d.Secret {
		prepared, err := d.Prepare(p.Info)
		if err != nil {
			return nil
		}
		return prepared.Erased
	}
	if p.Encrypted {
		return nil
	}
	if json.Valid(p.Info) {
		return p.Info
	}
	text, err := json.Marshal(string(p.Info))
	if err != nil {
		return nil
	}
	return text
}

// parseErrors parses stored errors, one JSON object a line. Other lines, from another version, are shown as they are.
func parseErrors(stored string) []job.AttemptError {
	all := []job.AttemptError{}
	for line := range strings.Lines(stored) {
		line = strings.TrimSpace(line)
		if line == "" {
			continue
		}
		var e job.AttemptError
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			e = job.AttemptError{Error: line}
		}
		all = append(all, e)
	}
	return all
}

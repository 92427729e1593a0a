package admin

import (
	"encoding/json"
	"strings"

	"app238.com/inner/modules/tasks/internal/store"
	"app238.com/inner/modules/tasks/job"
)

// shown returns the payload as JSON without the values of secrets, or nil where it may not be shown: of one that is encrypted
// it is not known what is secret where this version does not know its type.
func (a *Admin) shown(jobType string, p store.Payload) json.RawMessage {
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

// parseErrors reads the kept errors, an object a line. What is no such line, from another version, is shown as it is.
func parseErrors(kept string) []job.AttemptError {
	all := []job.AttemptError{}
	for line := range strings.Lines(kept) {
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

package admin

import (
	"encoding/json"
	"strings"

	"app238.com/inner/modules/tasks/job"
)

// hiddenType is the job type whose payload holds the values of a worker's secrets.
const hiddenType = "worker.sync_secret"

// shown returns the payload as JSON, or nil where it may not be shown.
func shown(jobType, info string) json.RawMessage {
	if jobType == hiddenType {
		return nil
	}
	if json.Valid([]byte(info)) {
		return json.RawMessage(info)
	}
	text, err := json.Marshal(info)
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

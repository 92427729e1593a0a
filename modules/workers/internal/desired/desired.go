// Package desired computes the desired state of a worker from its rows. It has no side effects.
package desired

import (
	"encoding/json"
	"errors"

	"app238.com/inner/ent"
	"app238.com/inner/modules/controller/workerapp"
)

// Environment parses workers.env_json. A value that is not a string becomes its JSON text, since environment variables are
// strings. No error of this package contains a value.
func Environment(envJSON string) (map[string]string, error) {
	if envJSON == "" {
		return map[string]string{}, nil
	}
	var values map[string]json.RawMessage
	if json.Unmarshal([]byte(envJSON), &values) != nil {
		return nil, errors.New("env_json: is not a JSON object") // the decoder's message may quote a value
	}
	env := make(map[string]string, len(values))
	for name, raw := range values {
		var text string
		if json.Unmarshal(raw, &text) != nil {
			text = string(raw)
		}
		env[name] = text
	}
	return env, nil
}

// CheckEnvironment returns an error for the worker's owner when no pod can have the environment of env_json.
func CheckEnvironment(envJSON string) error {
	env, err := Environment(envJSON)
	if err != nil {
		return err
	}
	return workerapp.CheckVariables(env)
}

// SecretKeys parses workers.secrets_json: the names of the secrets that the worker is to have.
func SecretKeys(secretsJSON string) (map[string]bool, error) {
	if secretsJSON == "" {
		return map[string]bool{}, nil
	}
	var names []string
	if json.Unmarshal([]byte(secretsJSON), &names) != nil {
		return nil, errors.New("secrets_json: is not a JSON array of names")
	}
	keys := make(map[string]bool, len(names))
	for _, name := range names {
		keys[name] = true
	}
	return keys, nil
}

// Spec returns the WorkerApp's spec for a version of a worker. What the controller validates (quantities, port, image) is
// copied as it is.
func Spec(w *ent.Worker, v *ent.WorkerDeployVersion) workerapp.Spec {
	return workerapp.Spec{
		WorkerID: w.Wid, OwnerID: w.UserUID, Image: v.Image, Port: int64(v.Port),
		AssignedCPU: w.AssignedCPU, AssignedMemory: w.AssignedMemory, AssignedDisk: w.AssignedDisk,
		MaxReplicas: int64(w.MaxReplicas), MainRegion: w.MainRegion,
	}.WithDefaults()
}

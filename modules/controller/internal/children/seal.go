package children

import (
	"encoding/json"
	"fmt"

	"app238.com/inner/app/kube/drift"
	"app238.com/inner/modules/controller/workerapp"
)

// seal gives c the labels of its worker, and annotates it with the hash of all that is desired. A Secret's data is left out: a
// hash that anyone can compute would let readers of the annotation try guesses, and data is compared directly.
func setHashes(app *workerapp.WorkerApp, c Child) (Child, error) {
	workerapp.SetIDs(c.Object, app.Spec.WorkerID, app.Spec.OwnerID)
	var but []string
	if c.Resource == Secrets() {
		but = []string{"data"}
	}
	if err := drift.SetHash(c.Object, but...); err != nil {
		return Child{}, fmt.Errorf("build %s: %w", c.Resource.Resource, err)
	}
	return c, nil
}

// digest hashes a value by its JSON with sorted keys, so that the order of a library's struct fields plays no part: a
// new release of it must not restart every pod.
func digest(value any) (string, error) {
	encoded, err := json.Marshal(value)
	if err != nil {
		return "", err
	}
	var content map[string]any
	if err := json.Unmarshal(encoded, &content); err != nil {
		return "", err
	}
	return drift.Hash(content)
}

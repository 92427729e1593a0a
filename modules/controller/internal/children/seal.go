package children

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
)

// hashLength is enough hexadecimal digits to tell versions of one object apart.
const hashLength = 32

// seal annotates c with the hash of all that is wished. A Secret's data is left out: a hash that anyone can compute
// would let readers of the annotation try guesses, and data is compared directly.
func seal(c Child) (Child, error) {
	content := c.Object.Object
	if c.Resource == Secrets() {
		content = maps.Clone(content)
		delete(content, "data")
	}
	sum, err := digestContent(content)
	if err != nil {
		return Child{}, fmt.Errorf("build %s: %w", c.Resource.Resource, err)
	}
	annotations := c.Object.GetAnnotations()
	if annotations == nil {
		annotations = map[string]string{}
	}
	annotations[AppliedAnnotation] = sum
	c.Object.SetAnnotations(annotations)
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
	return digestContent(content)
}

// digestContent hashes a map, whose keys JSON sorts.
func digestContent(content map[string]any) (string, error) {
	encoded, err := json.Marshal(content)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(encoded)
	return hex.EncodeToString(sum[:])[:hashLength], nil
}

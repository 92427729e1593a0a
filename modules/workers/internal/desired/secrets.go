package desired

import (
	"slices"

	"app238.com/inner/modules/controller/workerapp"
)

// SecretPatch is a change of the user's keys in a worker's Secret.
type SecretPatch struct {
	Set    map[string]string
	Remove []string
}

// Empty reports whether the patch changes nothing.
func (c SecretPatch) Empty() bool { return len(c.Set) == 0 && len(c.Remove) == 0 }

// DiffSecret returns the patch from the actual data of a Secret to the desired state. The database decides which keys exist;
// the values of some come with a task, nil for a value that was applied before. Tasks may run late, twice and in any order:
// a key that is not desired is removed, also when a late task carries it.
//
// An empty value is how a deletion arrives. When the key is still desired, the deletion is late and must not overwrite the
// present value; when the Secret has no value, the empty one is stored.
//
// The error names a desired key that cannot be the name of a variable. Then nothing is changed.
func DiffSecret(actual map[string]string, keys map[string]bool, values map[string]*string) (SecretPatch, error) {
	change := SecretPatch{Set: map[string]string{}}
	for key, value := range values {
		if value == nil || !keys[key] || slices.Contains(workerapp.ReservedKeys(), key) {
			continue
		}
		present, ok := actual[key]
		if ok && (*value == "" || present == *value) {
			continue
		}
		change.Set[key] = *value
	}
	if err := workerapp.CheckVariables(change.Set); err != nil {
		return SecretPatch{}, err
	}
	for key := range actual {
		if !keys[key] && !slices.Contains(workerapp.ReservedKeys(), key) {
			change.Remove = append(change.Remove, key)
		}
	}
	slices.Sort(change.Remove)
	return change, nil
}

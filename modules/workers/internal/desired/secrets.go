package desired

import (
	"slices"

	"app238.com/inner/modules/controller/workerapp"
)

// SecretChange is what is to be changed of the user's keys in a worker's Secret.
type SecretPatch struct {
	Set    map[string]string
	Remove []string
}

// Empty tells that nothing is to be changed.
func (c SecretPatch) Empty() bool { return len(c.Set) == 0 && len(c.Remove) == 0 }

// Secrets works out how the held data of a Secret becomes what the database wishes: which keys exist is its matter, keys,
// and the values of some come with a task; nil is one that was applied before. So tasks may come late, twice and in any
// order: a key that is not wished goes, also when a late task brings it.
//
// An empty value is how a deletion arrives. Where the key is still wished, or again, that is a late one which must not
// destroy the value of today; where no value is held the empty one is as good as the wish allows.
//
// The error names a wished key that cannot be the name of a variable. Then nothing is changed.
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

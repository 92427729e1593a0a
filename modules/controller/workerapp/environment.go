package workerapp

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"

	"app238.com/inner/app/logging"
)

// The reserved keys of a worker's environment. They stand in its Secret only; users can neither set, change nor remove
// them.
const (
	EndpointKey  = "COMBINATOR_API_ENDPOINT"
	OwnerKey     = "RAYSAIL_UID"
	SecretKeyKey = "RAYSAIL_SECRET_KEY"
)

const (
	// maxVariable is what Linux lets a variable have, in bytes (MAX_ARG_STRLEN): with a larger one no program starts.
	maxVariable = 128 << 10
	// maxEnvironment is what the cluster keeps in one ConfigMap, in bytes. Names count twice: as keys, and as fields with an owner.
	maxEnvironment = 1 << 20
)

// shownLength is how much of a faulty name a message repeats.
const shownLength = 64

// ReservedKeys returns the reserved keys.
func ReservedKeys() []string { return []string{EndpointKey, OwnerKey, SecretKeyKey} }

// CheckVariables returns an error that names the first variable, in the order of the alphabet, that no pod can have in
// its environment, or says that they are too large together. It never tells a value.
func CheckVariables(values map[string]string) error {
	total := 0
	for _, name := range slices.Sorted(maps.Keys(values)) {
		if len(validation.IsEnvVarName(name)) > 0 || len(validation.IsConfigMapKey(name)) > 0 {
			return fmt.Errorf("environment: %s cannot be the name of a variable; use letters, digits and '_', "+
				"beginning with a letter or '_', at most %d characters", showName(name), validation.DNS1123SubdomainMaxLength)
		}
		if strings.ContainsRune(values[name], 0) {
			return fmt.Errorf("environment: the value of %s holds a zero byte, which no variable can", showName(name))
		}
		// As a program gets it: NAME=value and a zero byte.
		if size := len(name) + len(values[name]) + 2; size > maxVariable {
			return fmt.Errorf("environment: %s has %d bytes with its value; no program can be given a variable of more than %d", showName(name), size, maxVariable)
		}
		total += 2*len(name) + len(values[name])
	}
	if total > maxEnvironment {
		return fmt.Errorf("environment: all variables have %d bytes together, names counted twice; at most %d can be kept", total, maxEnvironment)
	}
	return nil
}

func showName(name string) string {
	return fmt.Sprintf("%q", strings.ToValidUTF8(logging.Clip(name, shownLength), "?"))
}

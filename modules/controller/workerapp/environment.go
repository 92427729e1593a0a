package workerapp

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"

	"app238.com/inner/app/logging"
)

// The reserved keys of a worker's environment. They are in its Secret only; users can neither set, change nor remove them.
const (
	EndpointKey  = "COMBINATOR_API_ENDPOINT"
	OwnerKey     = "RAYSAIL_UID"
	SecretKeyKey = "RAYSAIL_SECRET_KEY"
)

const (
	// maxVariable is the most bytes of one variable on Linux (MAX_ARG_STRLEN): with a larger one no program starts.
	maxVariable = 128 << 10
	// maxEnvironment is the most bytes of one ConfigMap. Names count twice: as keys, and in the managed fields.
	maxEnvironment = 1 << 20
)

// maxShownLength is the most characters of an invalid value that a message repeats.
const maxShownLength = 64

// ReservedKeys returns the reserved keys.
func ReservedKeys() []string { return []string{EndpointKey, OwnerKey, SecretKeyKey} }

// CheckVariables returns an error for the first variable, in alphabetical order, that a pod cannot have in its environment, or
// if all together are too large. The error never holds a value.
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
		// The size of "NAME=value" with its terminating zero byte.
		if size := len(name) + len(values[name]) + 2; size > maxVariable {
			return fmt.Errorf("environment: %s has %d bytes with its value; no program can be given a variable of more than %d",
				showName(name), size, maxVariable)
		}
		total += 2*len(name) + len(values[name])
	}
	if total > maxEnvironment {
		return fmt.Errorf("environment: all variables have %d bytes together, names counted twice; at most %d can be kept", total,
			maxEnvironment)
	}
	return nil
}

func showName(name string) string {
	return fmt.Sprintf("%q", strings.ToValidUTF8(logging.Clip(name, maxShownLength), "?"))
}

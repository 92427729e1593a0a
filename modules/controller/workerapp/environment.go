package workerapp

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"
)

// The reserved keys of a worker's environment. They stand in its Secret only; users can neither set, change nor remove
// them.
const (
	EndpointKey  = "COMBINATOR_API_ENDPOINT"
	OwnerKey     = "RAYSAIL_UID"
	SecretKeyKey = "RAYSAIL_SECRET_KEY"
)

// shownLength is how much of a faulty name a message repeats.
const shownLength = 64

// ReservedKeys returns the reserved keys.
func ReservedKeys() []string { return []string{EndpointKey, OwnerKey, SecretKeyKey} }

// CheckVariables returns an error that names the first variable, in the order of the alphabet, that no pod can have in
// its environment. It never tells a value.
func CheckVariables(values map[string]string) error {
	for _, name := range slices.Sorted(maps.Keys(values)) {
		if len(validation.IsEnvVarName(name)) > 0 || len(validation.IsConfigMapKey(name)) > 0 {
			return fmt.Errorf("environment: %s cannot be the name of a variable; use letters, digits and '_', "+
				"beginning with a letter or '_', at most %d characters", showName(name), validation.DNS1123SubdomainMaxLength)
		}
		if strings.ContainsRune(values[name], 0) {
			return fmt.Errorf("environment: the value of %s holds a zero byte, which no variable can", showName(name))
		}
	}
	return nil
}

func showName(name string) string {
	if runes := []rune(name); len(runes) > shownLength {
		name = string(runes[:shownLength]) + "…"
	}
	return fmt.Sprintf("%q", strings.ToValidUTF8(name, "?"))
}

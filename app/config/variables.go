package config

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/viper"

	"app238.com/inner/app/nearest"
)

const (
	// variablePrefix is the prefix of all variables that are settings.
	variablePrefix = "INNER"
	// fileSuffix is the suffix of a variable that names a file with a secret.
	fileSuffix = "_FILE"
)

// mergeSecretFiles reads each secret for which a variable INNER_…_FILE names a file, so that it is neither in the
// environment nor in the configuration file. Line breaks at the end are not part of the secret.
func mergeSecretFiles(v *viper.Viper) (found faults) {
	for _, s := range new(Config).settings() {
		name := s.variable() + fileSuffix
		file := os.Getenv(name)
		if !s.secret() || file == "" {
			continue
		}
		if os.Getenv(s.variable()) != "" {
			found = append(found, fault{s.key, fmt.Errorf("%s: set twice, by %s and by %s", s.key, s.variable(), name)})
			continue
		}
		content, err := os.ReadFile(file) //nolint:gosec // the operator names it
		if err != nil {
			found = append(found, fault{s.key, fmt.Errorf("%s: %s: %w", s.key, name, withoutPath(err))})
			continue
		}
		v.Set(s.key, strings.TrimRight(string(content), "\r\n"))
	}
	return found
}

// withoutPath returns the reason without the path, which is the secret itself where the two variables were mixed up.
func withoutPath(err error) error {
	if pathError, ok := errors.AsType[*fs.PathError](err); ok {
		return pathError.Err
	}
	return err
}

// ignoredVariables matches variables with the prefix that are not settings: those that Kubernetes sets in pods for a Service
// named inner…, and those of this project's tests and builds.
var ignoredVariables = regexp.MustCompile(`_SERVICE_(HOST|PORT)|_PORT$|_PORT_\d+_(TCP|UDP)|^INNER_(TEST|E2E|CHAOS)(_|$)|^INNER_CACHE$`)

// UnknownVariables returns an error for each variable in environ ("NAME=value") that has the prefix of a setting and is none,
// sorted. They are no error at the start of the program: other software may set variables in its pod.
func UnknownVariables(environ []string) (errs []error) {
	defaults, err := withDefaults()
	if err != nil {
		return []error{err}
	}
	known := map[string]bool{fileVariable: true}
	for _, key := range knownKeys(defaults) {
		known[variableOf(key)] = true
	}
	for _, s := range new(Config).settings() {
		if s.secret() {
			known[s.variable()+fileSuffix] = true
		}
	}
	var unknown []string
	for _, entry := range environ {
		name, _, _ := strings.Cut(entry, "=")
		if strings.HasPrefix(name, variablePrefix+"_") && !known[name] && !ignoredVariables.MatchString(name) {
			unknown = append(unknown, name)
		}
	}
	slices.Sort(unknown)
	for _, name := range unknown {
		errs = append(errs, fmt.Errorf("%s: unknown setting%s", name, nearest.Hint(name, slices.Sorted(maps.Keys(known)))))
	}
	return errs
}

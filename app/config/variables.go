package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/viper"
)

const (
	// variablePrefix begins the names of all variables that are settings.
	variablePrefix = "INNER"
	// fileSuffix ends the name of a variable that names a file with a secret instead of holding it.
	fileSuffix = "_FILE"
)

// mergeSecretFiles sets each secret for which a variable INNER_…_FILE names a file, so that it need stand neither in the
// environment nor in the configuration file. A line break at its end is not part of it.
func mergeSecretFiles(v *viper.Viper) error {
	for _, s := range new(Config).settings() {
		name := s.variable() + fileSuffix
		file := os.Getenv(name)
		if !s.secret() || file == "" {
			continue
		}
		if os.Getenv(s.variable()) != "" {
			return fmt.Errorf("%s: given twice, by %s and by %s", s.key, s.variable(), name)
		}
		content, err := os.ReadFile(file) //nolint:gosec // the operator names it
		if err != nil {
			return fmt.Errorf("%s: %s: %w", s.key, name, withoutPath(err))
		}
		v.Set(s.key, strings.TrimRight(string(content), "\r\n"))
	}
	return nil
}

// withoutPath returns the reason alone: whoever mistook the two variables has put the secret where the path belongs.
func withoutPath(err error) error {
	if pathError, ok := errors.AsType[*fs.PathError](err); ok {
		return pathError.Err
	}
	return err
}

// foreign finds variables that begin like ours and are not meant as settings: what Kubernetes puts into pods for a Service
// named inner…, and what this project's tests and builds use.
var foreign = regexp.MustCompile(`_SERVICE_(HOST|PORT)|_PORT$|_PORT_\d+_(TCP|UDP)|^INNER_(TEST|E2E|CHAOS)(_|$)|^INNER_CACHE$`)

// UnknownVariables returns the names of the variables in environ ("NAME=value") that look like a setting and are none, sorted.
// They are not an error when the program starts: in a pod, others put variables there too.
func UnknownVariables(environ []string) []string {
	known := map[string]bool{}
	var groups []string
	for _, s := range new(Config).settings() {
		known[s.variable()] = true
		if s.secret() {
			known[s.variable()+fileSuffix] = true
		}
		if s.value.Kind() == reflect.Map {
			groups = append(groups, s.variable()+"_")
		}
	}
	var unknown []string
	for _, entry := range environ {
		name, _, _ := strings.Cut(entry, "=")
		inGroup := func(group string) bool { return strings.HasPrefix(name, group) }
		if strings.HasPrefix(name, variablePrefix+"_") && !known[name] && !foreign.MatchString(name) && !slices.ContainsFunc(groups, inGroup) {
			unknown = append(unknown, name)
		}
	}
	slices.Sort(unknown)
	return unknown
}

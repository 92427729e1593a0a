// Package registry holds the job types that the modules contribute.
package registry

import (
	"fmt"
	"slices"

	"app238.com/inner/modules/tasks/job"
)

// Registry finds job types by their name or an alias.
type Registry struct{ byName map[string]job.Definition }

// New returns an empty registry. It is filled later, because jobs may need the queue, which needs the registry.
func New() *Registry { return &Registry{byName: map[string]job.Definition{}} }

// Add registers definitions; duplicate names are an error. It must not be called once tasks are accepted or run.
func (r *Registry) Add(definitions []job.Definition) error {
	for _, d := range definitions {
		for _, name := range append([]string{d.Type}, d.Aliases...) {
			if other, taken := r.byName[name]; taken {
				return fmt.Errorf("job type %q is registered by %s and by %s", name, other.Type, d.Type)
			}
			r.byName[name] = d
		}
	}
	return nil
}

// Find returns the job type with this name or alias.
func (r *Registry) Find(name string) (job.Definition, bool) {
	d, ok := r.byName[name]
	return d, ok
}

// Lanes returns the lanes of the job types, sorted.
func (r *Registry) Lanes() []string {
	var lanes []string
	for _, d := range r.byName {
		lanes = append(lanes, d.Lane)
	}
	slices.Sort(lanes)
	return slices.Compact(lanes)
}

// Types returns the names of the job types, without aliases, sorted.
func (r *Registry) Types() []string {
	var types []string
	for name, d := range r.byName {
		if name == d.Type {
			types = append(types, name)
		}
	}
	slices.Sort(types)
	return types
}

// HasSecrets reports whether a job type has a payload with secrets.
func (r *Registry) HasSecrets() bool {
	for _, d := range r.byName {
		if d.Secret {
			return true
		}
	}
	return false
}

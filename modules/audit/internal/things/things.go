// Package things holds what exists of one kind while it is compared with the rows that wish it. It knows no policy.
package things

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"app238.com/inner/modules/audit/inventory"
)

// Things are the objects of one kind by their name. Their number is bounded, and with it the memory of an audit.
type Things struct {
	byName map[string]*thing
	limit  int
	err    error
}

type thing struct {
	object inventory.Object
	wished bool
}

// New returns an empty set that takes no more things than limit.
func New(limit int) *Things { return &Things{byName: map[string]*thing{}, limit: limit} }

// Add takes a page. Parts of things that are there already add up. An object without a name, or one too many, is an
// error, which stays: see Err.
func (t *Things) Add(page []inventory.Object) error {
	if t.err == nil {
		t.err = t.add(page)
	}
	return t.err
}

// Err returns the error of the page that was refused.
func (t *Things) Err() error { return t.err }

func (t *Things) add(page []inventory.Object) error {
	for _, o := range page {
		if o.Name == "" {
			return errors.New("an object has no name")
		}
		found, there := t.byName[o.Name]
		if !there {
			if len(t.byName) == t.limit {
				return fmt.Errorf("there are more than %d things (audit.maxObjects)", t.limit)
			}
			found = &thing{object: o}
			found.object.Parts = nil // the page is the lister's
			t.byName[o.Name] = found
		}
		found.add(o.Parts)
	}
	return nil
}

func (t *thing) add(parts []string) {
	for _, part := range parts {
		if !slices.Contains(t.object.Parts, part) {
			t.object.Parts = append(t.object.Parts, part)
		}
	}
}

// Len returns the number of things.
func (t *Things) Len() int { return len(t.byName) }

// Claim notes that a row wishes its thing, and returns the parts that it needs and that were not found.
func (t *Things) Claim(wish inventory.Desired) (missing []string) {
	found, there := t.byName[wish.Name]
	if !there {
		return wish.Needs
	}
	found.wished = true
	for _, part := range wish.Needs {
		if !slices.Contains(found.object.Parts, part) {
			missing = append(missing, part)
		}
	}
	return missing
}

// Orphans returns how many things no row has claimed, and the first of them by name, at most most: the same ones in each
// audit, as long as they exist.
func (t *Things) Orphans(most int) (first []inventory.Object, total int) {
	for _, found := range t.byName {
		if !found.wished {
			first = append(first, found.object)
		}
	}
	total = len(first)
	slices.SortFunc(first, func(a, b inventory.Object) int { return strings.Compare(a.Name, b.Name) })
	return first[:min(most, total)], total
}

package auditor

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"app238.com/inner/modules/audit/inventory"
)

// objectSet holds the actual objects of one kind by their name. Its size is bounded, and with it the memory of an audit.
type objectSet struct {
	byName map[string]*actualObject
	limit  int
	// err is the first error of add.
	err error
}

type actualObject struct {
	inventory.Object
	// referenced is set when a row with the object's name was read.
	referenced bool
}

func newObjectSet(limit int) *objectSet {
	return &objectSet{byName: map[string]*actualObject{}, limit: limit}
}

// add adds a page of objects. Parts of objects of the same name add up. An object without a name, or one above the limit,
// is an error, which every further call returns.
func (s *objectSet) add(page []inventory.Object) error {
	if s.err == nil {
		s.err = s.addPage(page)
	}
	return s.err
}

func (s *objectSet) addPage(page []inventory.Object) error {
	for _, o := range page {
		if o.Name == "" {
			return errors.New("an object has no name")
		}
		found, ok := s.byName[o.Name]
		if !ok {
			if len(s.byName) == s.limit {
				return fmt.Errorf("there are more than %d objects (audit.maxObjects)", s.limit)
			}
			found = &actualObject{Object: o}
			found.Parts = nil // the slice of the page belongs to the inventory
			s.byName[o.Name] = found
		}
		for _, part := range o.Parts {
			if !slices.Contains(found.Parts, part) {
				found.Parts = append(found.Parts, part)
			}
		}
	}
	return nil
}

func (s *objectSet) len() int { return len(s.byName) }

// reference marks the object of a row as desired and returns the needed parts that do not exist.
func (s *objectSet) reference(desired inventory.Desired) (missing []string) {
	found, ok := s.byName[desired.Name]
	if !ok {
		return desired.Needs
	}
	found.referenced = true
	for _, part := range desired.Needs {
		if !slices.Contains(found.Parts, part) {
			missing = append(missing, part)
		}
	}
	return missing
}

// orphans returns how many objects have no row, and at most limit of them in the order of their names: the same ones in each
// audit, as long as they exist.
func (s *objectSet) orphans(limit int) (first []inventory.Object, total int) {
	for _, found := range s.byName {
		if !found.referenced {
			first = append(first, found.Object)
		}
	}
	total = len(first)
	slices.SortFunc(first, func(a, b inventory.Object) int { return strings.Compare(a.Name, b.Name) })
	return first[:min(limit, total)], total
}

package schema

import (
	"fmt"
	"slices"
	"strings"
)

// Catalogue is what a database holds.
type Catalogue struct {
	// Postgres says that indexes can be built CONCURRENTLY; CockroachDB builds each of them so, and knows no other way.
	Postgres bool
	// Columns are those of each table and view.
	Columns map[string][]string
	Indexes []FoundIndex
}

// FoundIndex is an index of the catalogue. One that is not valid was left by a build that failed or was killed.
type FoundIndex struct {
	Name, Table string
	Valid       bool
}

// Step is one change: statements each of which may be sent again, alone.
type Step struct {
	// Text says what is made, for people.
	Text string
	// Table is the one that is locked.
	Table string
	// Index is the one that is built, or "".
	Index string
	// New says that the table was missing.
	New bool
	// Concurrent says that no statement keeps a reader or a writer of the table waiting, however long it takes itself.
	Concurrent bool
	Statements []string
}

// Missing returns what a database lacks. Where nothing is missing it returns nothing.
func (s *Schema) Missing(have *Catalogue) ([]Step, error) {
	var steps []Step
	for _, t := range s.Tables {
		found, exists := have.Columns[t.Name]
		if exists && t.Outer {
			continue
		}
		if t.Outer {
			steps = append(steps, t.outerStep(have.Postgres))
			continue
		}
		if !exists {
			steps = append(steps, Step{
				Text: "make table " + t.Name, Table: t.Name, New: true, Statements: []string{t.create()},
			})
		} else if step, err := t.columnStep(found); err != nil {
			return nil, err
		} else if step != nil {
			steps = append(steps, *step)
		}
		for _, i := range t.Indexes {
			if step := t.indexStep(i, have, !exists); step != nil {
				steps = append(steps, *step)
			}
		}
	}
	return append(steps, s.drops(have)...), nil
}

// outerStep makes a whole table of Outer's: PostgreSQL carries out what one message holds as a whole, so that no later run
// finds a table without its indexes, which it would not touch. CockroachDB does not: there what rows rely on stands in the table.
func (t *Table) outerStep(postgres bool) Step {
	whole, later := *t, t.Indexes
	if !postgres {
		whole.Constraints, later = slices.Clone(t.Constraints), nil
		for _, i := range t.Indexes {
			if i.Unique {
				whole.Constraints = append(whole.Constraints, "CONSTRAINT "+i.Name+" UNIQUE "+i.Definition)
			} else {
				later = append(later, i)
			}
		}
	}
	step := Step{Text: "make table " + t.Name, Table: t.Name, New: true, Statements: []string{whole.create()}}
	for _, i := range later {
		step.Statements = append(step.Statements, i.create(t.Name, false))
	}
	if postgres {
		step.Statements = []string{strings.Join(step.Statements, ";\n")}
	}
	return step
}

func (t *Table) create() string {
	var items []string
	for _, c := range t.Columns {
		items = append(items, c.Name+" "+c.Definition)
	}
	begin := "CREATE TABLE IF NOT EXISTS "
	if t.Outer {
		begin = "CREATE TABLE " // where another was faster, what follows must not touch its table
	}
	return begin + t.Name + " (\n    " + strings.Join(append(items, t.Constraints...), ",\n    ") + "\n)"
}

// columnStep adds all missing columns at once, so that the table is locked once.
func (t *Table) columnStep(found []string) (*Step, error) {
	var names, parts []string
	for _, c := range t.Columns {
		if slices.Contains(found, c.Name) {
			continue
		}
		if !c.addable() {
			return nil, fmt.Errorf("table %s has no column %s: it is not Inner's, and no column of this kind can be added", t.Name, c.Name)
		}
		names = append(names, c.Name)
		parts = append(parts, "ADD COLUMN IF NOT EXISTS "+c.Name+" "+c.Definition)
	}
	if len(names) == 0 {
		return nil, nil
	}
	return &Step{
		Text: "add to table " + t.Name + ": " + strings.Join(names, ", "), Table: t.Name,
		Statements: []string{"ALTER TABLE " + t.Name + " " + strings.Join(parts, ", ")},
	}, nil
}

// addable tells whether a table with rows can get the column without being rewritten.
func (c Column) addable() bool {
	return !strings.Contains(c.Definition, "PRIMARY KEY") && !strings.Contains(c.Definition, "GENERATED") &&
		(!strings.Contains(c.Definition, "NOT NULL") || strings.Contains(c.Definition, "DEFAULT"))
}

func (t *Table) indexStep(i Index, have *Catalogue, fresh bool) *Step {
	at := slices.IndexFunc(have.Indexes, func(f FoundIndex) bool { return f.Name == i.Name && f.Table == t.Name })
	if at >= 0 && have.Indexes[at].Valid {
		return nil
	}
	step := &Step{
		Text: "build index " + i.Name + " on " + t.Name, Table: t.Name, Index: i.Name, New: fresh,
		Concurrent: have.Postgres && !fresh,
	}
	if at >= 0 {
		step.Text += ", which an earlier run did not complete"
		step.Statements = append(step.Statements, drop(i.Name, step.Concurrent))
	}
	step.Statements = append(step.Statements, i.create(t.Name, step.Concurrent))
	return step
}

func (i Index) create(table string, concurrently bool) string {
	words := []string{"CREATE"}
	if i.Unique {
		words = append(words, "UNIQUE")
	}
	words = append(words, "INDEX")
	if concurrently {
		words = append(words, "CONCURRENTLY")
	}
	return strings.Join(append(words, "IF NOT EXISTS", i.Name, "ON", table, i.Definition), " ")
}

func drop(name string, concurrently bool) string {
	if concurrently {
		return "DROP INDEX CONCURRENTLY IF EXISTS " + name
	}
	return "DROP INDEX IF EXISTS " + name
}

func (s *Schema) drops(have *Catalogue) []Step {
	var steps []Step
	for _, f := range have.Indexes {
		if slices.Contains(s.Dropped, f.Name) {
			steps = append(steps, Step{
				Text: "drop index " + f.Name + " of " + f.Table, Table: f.Table, Concurrent: have.Postgres,
				Statements: []string{drop(f.Name, have.Postgres)},
			})
		}
	}
	return steps
}

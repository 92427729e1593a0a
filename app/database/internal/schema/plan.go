package schema

import (
	"fmt"
	"slices"
	"strings"
)

// Catalogue holds the tables and indexes of a database.
type Catalogue struct {
	// Postgres tells whether indexes are built CONCURRENTLY; CockroachDB always does so.
	Postgres bool
	// Columns holds the columns of each table and view.
	Columns map[string][]string
	Indexes []FoundIndex
}

// FoundIndex is an index of the catalogue. An invalid one is left by a build that failed or was killed.
type FoundIndex struct {
	Name, Table string
	Valid       bool
}

// Step is one change: statements each of which can be repeated on its own.
type Step struct {
	// Text describes the step for operators.
	Text string
	// Table is the table that the step locks.
	Table string
	// Index is the index that the step builds, or "".
	Index string
	// New tells whether the table was missing.
	New bool
	// Concurrent tells that no statement blocks readers or writers of the table.
	Concurrent bool
	Statements []string
}

// Missing returns the steps that create what the database lacks; none if it is complete.
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
				Text: "create table " + t.Name, Table: t.Name, New: true, Statements: []string{t.create()},
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

// outerStep creates a table of Outer's with its indexes. PostgreSQL runs the statements of one message as a transaction, so that
// no later run finds the table without its indexes, which it would not add. CockroachDB does not: there unique indexes are part
// of CREATE TABLE.
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
	step := Step{Text: "create table " + t.Name, Table: t.Name, New: true, Statements: []string{whole.create()}}
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
		begin = "CREATE TABLE " // fails if another session was faster: its table must not be changed
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
			return nil, fmt.Errorf("table %s has no column %s: the table is not Inner's, and a column of this kind cannot be added",
				t.Name, c.Name)
		}
		names = append(names, c.Name)
		parts = append(parts, "ADD COLUMN IF NOT EXISTS "+c.Name+" "+c.Definition)
	}
	if len(names) == 0 {
		return nil, nil
	}
	return &Step{
		Text: "add columns to table " + t.Name + ": " + strings.Join(names, ", "), Table: t.Name,
		Statements: []string{"ALTER TABLE " + t.Name + " " + strings.Join(parts, ", ")},
	}, nil
}

// addable tells whether the column can be added to a table with rows without rewriting it.
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
		step.Text += ", left incomplete by an earlier run"
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

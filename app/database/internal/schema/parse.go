// Package schema reads the declarations of Inner's and Outer's tables and says what a database lacks of them.
package schema

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Schema is what a database is to hold, in the order in which it is made.
type Schema struct {
	Tables []*Table
	// Dropped are names of indexes that are to be gone.
	Dropped []string
}

// Table is one table. One of Outer's is made where it is missing, and never touched where it exists.
type Table struct {
	Name        string
	Outer       bool
	Columns     []Column
	Constraints []string
	Indexes     []Index
}

// Column is a column and its type, default and constraints as they are written.
type Column struct{ Name, Definition string }

// Index is an index and, as written, its columns and condition.
type Index struct {
	Name       string
	Unique     bool
	Definition string
}

// The five forms of a statement; a unique index counts as one of its own.
var (
	createTable = regexp.MustCompile(`(?s)^CREATE TABLE (?:IF NOT EXISTS )?(\w+)\s*\((.*)\)$`)
	addColumn   = regexp.MustCompile(`(?s)^ALTER TABLE (\w+)\s+ADD COLUMN IF NOT EXISTS (\w+\s.+)$`)
	createIndex = regexp.MustCompile(`(?s)^CREATE (UNIQUE )?INDEX (?:IF NOT EXISTS )?(\w+)\s+ON (\w+)\s*(\(.+)$`)
	dropIndex   = regexp.MustCompile(`^DROP INDEX IF EXISTS (\w+)$`)

	column     = regexp.MustCompile(`(?s)^(\w+)\s+(.+)$`)
	constraint = regexp.MustCompile(`^(?:CONSTRAINT|PRIMARY KEY|UNIQUE|FOREIGN KEY|CHECK|EXCLUDE|LIKE)\b`)
)

// Parse reads the two scripts, Outer's tables and Inner's. A statement of a form that it does not know is an error, and
// so is one of Inner's that would alter a table of Outer's.
func Parse(outer, inner string) (*Schema, error) {
	s := &Schema{}
	for _, script := range []struct {
		text  string
		outer bool
	}{{outer, true}, {inner, false}} {
		for _, statement := range statements(script.text) {
			if err := s.add(statement, script.outer); err != nil {
				return nil, fmt.Errorf("%w: %s", err, strings.SplitN(statement, "\n", 2)[0])
			}
		}
	}
	return s, nil
}

// statements parts a script at the semicolons that end a line, and leaves out lines that are comments.
func statements(script string) []string {
	var lines []string
	for line := range strings.SplitSeq(script, "\n") {
		if line = strings.TrimRight(line, " \t\r"); line != "" && !strings.HasPrefix(strings.TrimSpace(line), "--") {
			lines = append(lines, line)
		}
	}
	var all []string
	for statement := range strings.SplitSeq(strings.Join(lines, "\n"), ";\n") {
		if statement = strings.TrimSuffix(strings.TrimSpace(statement), ";"); statement != "" {
			all = append(all, statement)
		}
	}
	return all
}

func (s *Schema) add(statement string, outer bool) error {
	if m := createTable.FindStringSubmatch(statement); m != nil {
		return s.addTable(m[1], m[2], outer)
	}
	if m := addColumn.FindStringSubmatch(statement); m != nil {
		table, err := s.own(m[1], outer)
		if err != nil {
			return err
		}
		return table.addColumn(m[2])
	}
	if m := createIndex.FindStringSubmatch(statement); m != nil {
		table, err := s.own(m[3], outer)
		if err != nil {
			return err
		}
		table.Indexes = append(table.Indexes, Index{Name: m[2], Unique: m[1] != "", Definition: m[4]})
		return nil
	}
	if m := dropIndex.FindStringSubmatch(statement); m != nil && !outer {
		s.Dropped = append(s.Dropped, m[1])
		return nil
	}
	return errors.New("a statement of an unknown form")
}

func (s *Schema) addTable(name, body string, outer bool) error {
	if s.table(name) != nil {
		return fmt.Errorf("table %s is declared twice", name)
	}
	items, err := split(body)
	if err != nil {
		return err
	}
	table := &Table{Name: name, Outer: outer}
	for _, item := range items {
		if constraint.MatchString(item) {
			table.Constraints = append(table.Constraints, item)
			continue
		}
		if err := table.addColumn(item); err != nil {
			return err
		}
	}
	s.Tables = append(s.Tables, table)
	return nil
}

// addColumn adds a column unless the table has it. To declare it twice is right only where both say the same.
func (t *Table) addColumn(text string) error {
	m := column.FindStringSubmatch(text)
	if m == nil {
		return fmt.Errorf("%q is not a column", text)
	}
	added := Column{Name: m[1], Definition: strings.Join(strings.Fields(m[2]), " ")}
	i := slices.IndexFunc(t.Columns, func(c Column) bool { return c.Name == added.Name })
	if i < 0 {
		t.Columns = append(t.Columns, added)
		return nil
	}
	if t.Columns[i] != added {
		return fmt.Errorf("column %s of %s is declared twice and differently", added.Name, t.Name)
	}
	return nil
}

func (s *Schema) table(name string) *Table {
	for _, t := range s.Tables {
		if t.Name == name {
			return t
		}
	}
	return nil
}

// own returns a table of the same script.
func (s *Schema) own(name string, outer bool) (*Table, error) {
	t := s.table(name)
	switch {
	case t == nil:
		return nil, fmt.Errorf("table %s is not declared before", name)
	case t.Outer != outer:
		return nil, fmt.Errorf("table %s is another's", name)
	}
	return t, nil
}

// split parts the body of a CREATE TABLE at the commas that stand outside of brackets and quotes.
func split(body string) ([]string, error) {
	var items []string
	depth, start := 0, 0
	var quote rune
	for i, r := range body {
		switch {
		case quote != 0:
			if r == quote {
				quote = 0
			}
		case r == '\'' || r == '"':
			quote = r
		case r == '(':
			depth++
		case r == ')':
			depth--
		case r == ',' && depth == 0:
			items, start = append(items, strings.TrimSpace(body[start:i])), i+1
		}
	}
	if depth != 0 || quote != 0 {
		return nil, errors.New("a bracket or quote is not closed")
	}
	return append(items, strings.TrimSpace(body[start:])), nil
}

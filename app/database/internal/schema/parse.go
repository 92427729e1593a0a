// Package schema parses the declarations of Inner's and Outer's tables and plans the steps that a database lacks.
package schema

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Schema is the desired schema of a database, in the order of creation.
type Schema struct {
	Tables []*Table
	// Dropped are the names of indexes to drop.
	Dropped []string
}

// Table is one table. A table of Outer's is created if it is missing, and never changed.
type Table struct {
	Name        string
	Outer       bool
	Columns     []Column
	Constraints []string
	Indexes     []Index
}

// Column is a column with its type, default and constraints as text.
type Column struct{ Name, Definition string }

// Index is an index with its columns and condition as text.
type Index struct {
	Name       string
	Unique     bool
	Definition string
}

// The forms of a statement.
var (
	createTable = regexp.MustCompile(`(?s)^CREATE TABLE (?:IF NOT EXISTS )?(\w+)\s*\((.*)\)$`)
	addColumn   = regexp.MustCompile(`(?s)^ALTER TABLE (\w+)\s+ADD COLUMN IF NOT EXISTS (\w+\s.+)$`)
	createIndex = regexp.MustCompile(`(?s)^CREATE (UNIQUE )?INDEX (?:IF NOT EXISTS )?(\w+)\s+ON (\w+)\s*(\(.+)$`)
	dropIndex   = regexp.MustCompile(`^DROP INDEX IF EXISTS (\w+)$`)

	column     = regexp.MustCompile(`(?s)^(\w+)\s+(.+)$`)
	constraint = regexp.MustCompile(`^(?:CONSTRAINT|PRIMARY KEY|UNIQUE|FOREIGN KEY|CHECK|EXCLUDE|LIKE)\b`)
)

// Parse parses the two scripts, Outer's tables and Inner's. A statement of an unknown form is an error, and so is a statement
// of Inner's script that alters a table of Outer's.
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

// statements splits a script at the semicolons that end a line, and drops comment lines.
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
	return errors.New("unknown form of statement")
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

// addColumn adds a column unless the table has it. A second declaration must be equal to the first.
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

// own returns a table that the same script declares.
func (s *Schema) own(name string, outer bool) (*Table, error) {
	t := s.table(name)
	switch {
	case t == nil:
		return nil, fmt.Errorf("table %s is not declared before", name)
	case t.Outer != outer:
		return nil, fmt.Errorf("table %s belongs to the other script", name)
	}
	return t, nil
}

// split splits the body of a CREATE TABLE at the commas outside of brackets and quotes.
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

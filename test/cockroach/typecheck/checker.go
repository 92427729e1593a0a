// Package typecheck says of a statement what a CockroachDB would say of it: its own parser reads the text, and its own type
// checker, which the parser's module holds too, checks every expression.
//
// What CockroachDB keeps elsewhere is made here as far as Inner's statements need it: the columns of the tables (the platform's
// own from app/database, those of the catalogue in catalogue.go), which names mean which column, and the signatures of the
// built-in functions (builtins.go). A table, column or function that is not known is an error, so nothing is left out unseen.
//
// One rule is this package's own: a placeholder inside arithmetic or as an argument of a function needs a cast. PostgreSQL and
// CockroachDB infer different types there, and the driver sends the value as text of the inferred one.
package typecheck

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"sync"

	"github.com/cockroachdb/cockroachdb-parser/pkg/sql/parser"
	"github.com/cockroachdb/cockroachdb-parser/pkg/sql/parser/statements"
	"github.com/cockroachdb/cockroachdb-parser/pkg/sql/sem/tree"
)

// Checker knows the tables of one database.
type Checker struct {
	mu      sync.Mutex
	tables  catalogue
	passed  map[string]bool
	parent  *Checker // its verdicts hold here too
	builtin functions
}

// New returns a checker that knows the system's tables and those that the scripts make.
func New(scripts ...string) (*Checker, error) {
	c := &Checker{tables: catalogue{}, passed: map[string]bool{}, builtin: newFunctions()}
	for _, script := range append([]string{systemTables}, scripts...) {
		if err := c.Check(script); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// Child returns a checker for one more database: it begins with the tables of c, and what it learns is its own.
func (c *Checker) Child() *Checker {
	c.mu.Lock()
	defer c.mu.Unlock()
	return &Checker{tables: maps.Clone(c.tables), passed: map[string]bool{}, parent: c, builtin: c.builtin}
}

// Check returns nil or why CockroachDB would refuse a text of one or several statements. It learns the tables that they make.
// A text is checked once: the next time it is known to be good. A panic of the parser is an error.
func (c *Checker) Check(text string) error {
	if c.parent.knows(text) || c.knows(text) {
		return nil
	}
	// In the parent first: what is good there is known to all databases of the process.
	if c.parent != nil && c.parent.checkOnly(text) == nil {
		c.parent.remember(text)
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := check(text, c.tables, c.builtin); err != nil {
		return err
	}
	c.passed[text] = true
	return nil
}

// checkOnly learns nothing: a text that makes or changes a table is an error.
func (c *Checker) checkOnly(text string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return check(text, c.tables.frozen(), c.builtin)
}

func (c *Checker) knows(text string) bool {
	if c == nil {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.passed[text]
}

func (c *Checker) remember(text string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.passed[text] = true
}

// Parse reads a text with CockroachDB's parser. A panic of the parser is an error.
func Parse(text string) (parsed statements.Statements, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("parser panicked: %v", p)
		}
	}()
	return parser.Parse(text)
}

func check(text string, tables catalogue, builtin functions) (err error) {
	parsed, err := Parse(text)
	if err != nil {
		return err
	}
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("type checker panicked: %v", p)
		}
	}()
	for _, one := range parsed {
		a := &analysis{ctx: context.Background(), tables: tables, builtin: builtin, sema: tree.MakeSemaContext(nil)}
		a.sema.Placeholders.Init(one.NumPlaceholders, nil)
		if _, err := a.statement(one.AST, &scope{}, nil); err != nil {
			return short(err, one.SQL)
		}
		if err := a.sema.Placeholders.Types.AssertAllSet(); err != nil {
			return short(err, one.SQL)
		}
	}
	return nil
}

// short is the error with the beginning of the statement among several.
func short(err error, sql string) error {
	first, _, _ := strings.Cut(strings.TrimSpace(sql), "\n")
	return fmt.Errorf("%s…: %w", first, err)
}

var errFrozen = errors.New("the statement changes a table")

// postgreSQLAlone are parts of the statements of the product that no CockroachDB gets, and what they are for.
func postgreSQLAlone() map[string]string {
	return map[string]string{
		"pg_total_relation_size": "the size of schemas",
		"pg_terminate_backend":   "ends sessions that stand in the way",
		"pg_stat_activity":       "the sessions that stand in the way",
		"WITH (FORCE)":           "a database is dropped with the sessions in it",
		"SET LOCAL jit":          "the query for dependents is not compiled",
		"SET LOCAL lock_timeout": "a lock that somebody may hold for ever is not waited for",
		"pg_depend":              "what a schema holds",
		"pg_shdepend":            "what a role has in each database",
		"aclexplode":             "the own rights of a role",
		"rolpassword":            "what is kept of a password",
		"lo_unlink":              "large objects",
		"CONNECTION LIMIT":       "the limit of a role",
		"COMMENT ON ROLE":        "the mark of a role",
		"ALLOW_CONNECTIONS":      "nobody gets into a database that is not ready",
		"pg_catalog.pg_locks":    "who keeps a migration waiting",
		"pg_try_advisory_lock":   "one migration at a time",
	}
}

// PostgreSQLAlone tells whether a statement is one of the few that the product sends to a PostgreSQL and never to a
// CockroachDB, and by which part it is known.
func PostgreSQLAlone(text string) (part string, is bool) {
	for part := range postgreSQLAlone() {
		if strings.Contains(text, part) {
			return part, true
		}
	}
	return "", false
}

package typecheck

import (
	"context"
	"errors"
	"fmt"

	"github.com/cockroachdb/cockroachdb-parser/pkg/sql/sem/tree"
	"github.com/cockroachdb/cockroachdb-parser/pkg/sql/types"
)

// column is one that an expression may name.
type column struct {
	table string // its table's alias
	name  string
	typ   *types.T
}

// scope is what names mean in one part of a statement.
type scope struct {
	parent  *scope
	columns []column
	named   map[string][]column // WITH
}

func (s *scope) child() *scope { return &scope{parent: s} }

// with returns the columns of a common table expression.
func (s *scope) with(name string) ([]column, bool) {
	for ; s != nil; s = s.parent {
		if columns, ok := s.named[name]; ok {
			return columns, true
		}
	}
	return nil, false
}

// resolve finds the column of a name, in the nearest scope that has one.
func (s *scope) resolve(table, name string) (column, error) {
	for at := s; at != nil; at = at.parent {
		var found []column
		for _, c := range at.columns {
			if c.name == name && (table == "" || c.table == table) {
				found = append(found, c)
			}
		}
		switch len(found) {
		case 0:
			continue
		case 1:
			return found[0], nil
		}
		return column{}, fmt.Errorf("column reference %q is ambiguous", name)
	}
	if row, err := s.row(name); err == nil && table == "" {
		return row, nil
	}
	return column{}, fmt.Errorf("column %q does not exist", qualified(table, name))
}

// of returns the columns of one table of this scope, or all of them for "".
func (s *scope) of(table string) ([]column, error) {
	if table == "" {
		return s.columns, nil
	}
	var found []column
	for _, c := range s.columns {
		if c.table == table {
			found = append(found, c)
		}
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("no table %q in this place", table)
	}
	return found, nil
}

// row is the whole row of a table as one value.
func (s *scope) row(table string) (column, error) {
	columns, err := s.of(table)
	if err != nil {
		return column{}, err
	}
	all, labels := make([]*types.T, len(columns)), make([]string, len(columns))
	for i, c := range columns {
		all[i], labels[i] = c.typ, c.name
	}
	return column{name: table, typ: types.MakeLabeledTuple(all, labels)}, nil
}

func qualified(table, name string) string {
	if table == "" {
		return name
	}
	return table + "." + name
}

// renamed returns the columns under a table's alias and, where there are some, new names.
func renamed(columns []column, as tree.AliasClause, otherwise string) ([]column, error) {
	alias := string(as.Alias)
	if alias == "" {
		alias = otherwise
	}
	if len(as.Cols) > len(columns) {
		return nil, fmt.Errorf("%s has %d columns and %d names", alias, len(columns), len(as.Cols))
	}
	out := make([]column, len(columns))
	for i, c := range columns {
		c.table = alias
		if i < len(as.Cols) {
			c.name = string(as.Cols[i].Name)
		}
		out[i] = c
	}
	return out, nil
}

var errNoValue = errors.New("a column has no value here")

// typedColumn is a column in an expression, whose type is known.
type typedColumn struct{ column }

// String implements tree.Expr.
func (c *typedColumn) String() string { return qualified(c.table, c.name) }

// Format implements tree.Expr.
func (c *typedColumn) Format(ctx *tree.FmtCtx) { ctx.WriteString(c.String()) }

// Walk implements tree.Expr.
func (c *typedColumn) Walk(tree.Visitor) tree.Expr { return c }

// TypeCheck implements tree.Expr.
func (c *typedColumn) TypeCheck(context.Context, *tree.SemaContext, *types.T) (tree.TypedExpr, error) {
	return c, nil
}

// ResolvedType implements tree.TypedExpr.
func (c *typedColumn) ResolvedType() *types.T { return c.typ }

// Eval implements tree.TypedExpr.
func (c *typedColumn) Eval(context.Context, tree.ExprEvaluator) (tree.Datum, error) {
	return nil, errNoValue
}

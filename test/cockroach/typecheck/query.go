package typecheck

import (
	"fmt"

	"github.com/cockroachdb/cockroachdb-parser/pkg/sql/sem/tree"
	"github.com/cockroachdb/cockroachdb-parser/pkg/sql/types"
)

// query checks SELECT, VALUES and UNION and returns their columns. desired are the types that their place would like.
func (a *analysis) query(n *tree.Select, s *scope, desired []*types.T) ([]column, error) {
	if n == nil {
		return nil, nil
	}
	s, err := a.withs(n.With, s)
	if err != nil {
		return nil, err
	}
	var columns []column
	inner := s
	if clause, ok := n.Select.(*tree.SelectClause); ok {
		columns, inner, err = a.clause(clause, s, desired)
	} else {
		columns, err = a.selection(n.Select, s, desired)
	}
	if err != nil {
		return nil, err
	}
	if err := a.order(n.OrderBy, inner, columns); err != nil {
		return nil, err
	}
	return columns, a.limit(n.Limit, s)
}

// selection is what stands where SELECT may.
func (a *analysis) selection(n tree.SelectStatement, s *scope, desired []*types.T) ([]column, error) {
	switch n := n.(type) {
	case *tree.ParenSelect:
		return a.query(n.Select, s, desired)
	case *tree.SelectClause:
		columns, _, err := a.clause(n, s, desired)
		return columns, err
	case *tree.ValuesClause:
		return a.values(n, s, desired)
	case *tree.UnionClause:
		return a.union(n, s, desired)
	}
	return nil, fmt.Errorf("this check does not know %T", n)
}

// withs returns a scope in which the common table expressions are known.
func (a *analysis) withs(n *tree.With, s *scope) (*scope, error) {
	if n == nil {
		return s, nil
	}
	s = s.child()
	s.named = map[string][]column{}
	for _, each := range n.CTEList {
		columns, err := a.statement(each.Stmt, s.child(), nil)
		if err != nil {
			return nil, err
		}
		if columns, err = renamed(columns, each.Name, ""); err != nil {
			return nil, err
		}
		s.named[string(each.Name.Alias)] = columns
	}
	return s, nil
}

// clause checks one SELECT and returns its columns and the scope of its expressions.
func (a *analysis) clause(n *tree.SelectClause, s *scope, desired []*types.T) ([]column, *scope, error) {
	s = s.child()
	if err := a.from(n.From.Tables, s); err != nil {
		return nil, nil, err
	}
	if n.Where != nil {
		if err := a.condition(n.Where.Expr, s, "WHERE"); err != nil {
			return nil, nil, err
		}
	}
	columns, err := a.outputs(n.Exprs, s, desired)
	if err != nil {
		return nil, nil, err
	}
	for _, e := range append(tree.Exprs(n.GroupBy), tree.Exprs(n.DistinctOn)...) {
		if err := a.sorted(e, s, columns); err != nil {
			return nil, nil, err
		}
	}
	if n.Having != nil {
		err = a.condition(n.Having.Expr, s, "HAVING")
	}
	return columns, s, err
}

// outputs checks the expressions of SELECT or RETURNING.
func (a *analysis) outputs(exprs tree.SelectExprs, s *scope, desired []*types.T) ([]column, error) {
	var out []column
	for _, e := range exprs {
		if table, star := stars(e.Expr); star {
			all, err := s.of(table)
			if err != nil {
				return nil, err
			}
			out = append(out, all...)
			continue
		}
		var want *types.T
		if len(out) < len(desired) {
			want = desired[len(out)]
		}
		typed, err := a.expression(e.Expr, s, want)
		if err != nil {
			return nil, err
		}
		out = append(out, column{name: outputName(e), typ: typed.ResolvedType()})
	}
	return out, nil
}

// stars tells whether an expression is * or t.*.
func stars(e tree.Expr) (table string, is bool) {
	switch e := e.(type) {
	case tree.UnqualifiedStar:
		return "", true
	case *tree.UnresolvedName:
		return e.Parts[1], e.Star
	}
	return "", false
}

func outputName(e tree.SelectExpr) string {
	if e.As != "" {
		return string(e.As)
	}
	switch inner := tree.StripParens(e.Expr).(type) {
	case *tree.UnresolvedName:
		return inner.Parts[0]
	case *tree.FuncExpr:
		return inner.Func.String()
	}
	return "?column?"
}

func (a *analysis) values(n *tree.ValuesClause, s *scope, desired []*types.T) ([]column, error) {
	var out []column
	for _, row := range n.Rows {
		for i, e := range row {
			var want *types.T
			if i < len(desired) {
				want = desired[i]
			}
			if _, ok := e.(tree.DefaultVal); ok && want != nil {
				e = tree.NewTypedCastExpr(tree.DNull, want)
			}
			typed, err := a.expression(e, s, want)
			if err != nil {
				return nil, err
			}
			typ := typed.ResolvedType()
			if i == len(out) {
				out = append(out, column{name: fmt.Sprintf("column%d", i+1), typ: typ})
			} else if out[i], err = merge(out[i], typ); err != nil {
				return nil, err
			}
		}
	}
	return out, nil
}

func (a *analysis) union(n *tree.UnionClause, s *scope, desired []*types.T) ([]column, error) {
	left, err := a.query(n.Left, s, desired)
	if err != nil {
		return nil, err
	}
	right, err := a.query(n.Right, s, desired)
	if err != nil {
		return nil, err
	}
	if len(left) != len(right) {
		return nil, fmt.Errorf("UNION of %d and %d columns", len(left), len(right))
	}
	for i := range left {
		if left[i], err = merge(left[i], right[i].typ); err != nil {
			return nil, err
		}
	}
	return left, nil
}

// merge is the column of two rows.
func merge(c column, typ *types.T) (column, error) {
	switch {
	case c.typ.Family() == types.UnknownFamily:
		c.typ = typ
	case typ.Family() != types.UnknownFamily && !c.typ.Equivalent(typ):
		return c, fmt.Errorf("column %s is of type %s in one row and %s in another", c.name, c.typ, typ)
	}
	return c, nil
}

func (a *analysis) order(by tree.OrderBy, s *scope, outputs []column) error {
	for _, o := range by {
		if err := a.sorted(o.Expr, s, outputs); err != nil {
			return err
		}
	}
	return nil
}

// sorted checks an expression of ORDER BY or GROUP BY, which may name a column of the result, or its number.
func (a *analysis) sorted(e tree.Expr, s *scope, outputs []column) error {
	if name, ok := e.(*tree.UnresolvedName); ok && name.NumParts == 1 {
		for _, c := range outputs {
			if c.name == name.Parts[0] {
				return nil
			}
		}
	}
	_, err := a.expression(e, s, nil)
	return err
}

func (a *analysis) limit(n *tree.Limit, s *scope) error {
	if n == nil {
		return nil
	}
	for _, e := range []tree.Expr{n.Count, n.Offset} {
		if e == nil {
			continue
		}
		typed, err := a.expression(e, s, types.Int)
		if err != nil {
			return err
		}
		if err := a.fits(typed.ResolvedType(), types.Int, "LIMIT"); err != nil {
			return err
		}
	}
	return nil
}

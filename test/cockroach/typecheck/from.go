package typecheck

import (
	"fmt"

	"github.com/cockroachdb/cockroachdb-parser/pkg/sql/sem/tree"
	"github.com/cockroachdb/cockroachdb-parser/pkg/sql/types"
)

// from adds the columns of tables to a scope.
func (a *analysis) from(tables tree.TableExprs, s *scope) error {
	for _, each := range tables {
		columns, err := a.source(each, s)
		if err != nil {
			return err
		}
		s.columns = append(s.columns, columns...)
	}
	return nil
}

// source returns the columns of one table, subquery, function or join.
func (a *analysis) source(n tree.TableExpr, s *scope) ([]column, error) {
	switch n := n.(type) {
	case *tree.AliasedTableExpr:
		return a.aliased(n, s)
	case *tree.ParenTableExpr:
		return a.source(n.Expr, s)
	case *tree.JoinTableExpr:
		return a.join(n, s)
	case *tree.TableName:
		return a.named(n, s)
	case *tree.Subquery:
		// A subquery sees the columns beside it only if it is a LATERAL one; the server refuses what is not.
		return a.selection(n.Select, s.child(), nil)
	case *tree.RowsFromExpr:
		return a.rowsFrom(n, s)
	}
	return nil, fmt.Errorf("this check does not know %T in FROM", n)
}

func (a *analysis) named(n *tree.TableName, s *scope) ([]column, error) {
	if n.Schema() == "" {
		if columns, ok := s.with(n.Table()); ok {
			return renamed(columns, tree.AliasClause{}, n.Table())
		}
	}
	t, ok := a.tables.find(n.Schema(), n.Table())
	if !ok || t == nil {
		return nil, fmt.Errorf("unknown table %s", n)
	}
	return renamed(t.columns, tree.AliasClause{}, n.Table())
}

func (a *analysis) aliased(n *tree.AliasedTableExpr, s *scope) ([]column, error) {
	columns, err := a.source(n.Expr, s)
	if err != nil {
		return nil, err
	}
	columns = append([]column(nil), columns...)
	if _, function := n.Expr.(*tree.RowsFromExpr); function && len(columns) == 1 && n.As.Alias != "" {
		columns[0].name = string(n.As.Alias)
	}
	if n.Ordinality {
		columns = append(columns, column{name: "ordinality", typ: types.Int})
	}
	if n.As.Alias == "" {
		return columns, nil
	}
	return renamed(columns, n.As, "")
}

// rowsFrom returns the columns of functions that return rows.
func (a *analysis) rowsFrom(n *tree.RowsFromExpr, s *scope) ([]column, error) {
	var out []column
	for _, item := range n.Items {
		name := outputName(tree.SelectExpr{Expr: item})
		typed, err := a.expression(item, s, nil)
		if err != nil {
			return nil, err
		}
		typ := typed.ResolvedType()
		if typ.Family() != types.TupleFamily {
			out = append(out, column{table: name, name: name, typ: typ})
			continue
		}
		for i, each := range typ.TupleContents() {
			c := column{table: name, name: name, typ: each}
			if labels := typ.TupleLabels(); i < len(labels) {
				c.name = labels[i]
			}
			out = append(out, c)
		}
	}
	return out, nil
}

func (a *analysis) join(n *tree.JoinTableExpr, s *scope) ([]column, error) {
	left, err := a.source(n.Left, s)
	if err != nil {
		return nil, err
	}
	beside := s.child()
	beside.columns = left
	right, err := a.source(n.Right, beside)
	if err != nil {
		return nil, err
	}
	both := append(append([]column(nil), left...), right...)
	switch cond := n.Cond.(type) {
	case nil:
	case *tree.OnJoinCond:
		on := s.child()
		on.columns = both
		if err := a.condition(cond.Expr, on, "ON"); err != nil {
			return nil, err
		}
	case *tree.UsingJoinCond:
		return using(both, len(left), cond.Cols)
	default:
		return nil, fmt.Errorf("this check does not know %T", cond)
	}
	return both, nil
}

// using leaves the right side's columns of these names out: both sides have one.
func using(both []column, left int, names tree.NameList) ([]column, error) {
	out := both[:left:left]
	for _, c := range both[left:] {
		shared := false
		for _, name := range names {
			shared = shared || c.name == string(name)
		}
		if !shared {
			out = append(out, c)
		}
	}
	if len(both)-len(out) != len(names) {
		return nil, fmt.Errorf("USING %s: the right side has not all of them", names.String())
	}
	return out, nil
}

package typecheck

import (
	"context"
	"fmt"

	"github.com/cockroachdb/cockroachdb-parser/pkg/sql/sem/cast"
	"github.com/cockroachdb/cockroachdb-parser/pkg/sql/sem/tree"
	"github.com/cockroachdb/cockroachdb-parser/pkg/sql/sem/tree/treecmp"
	"github.com/cockroachdb/cockroachdb-parser/pkg/sql/types"
)

// analysis is that of one statement. Its placeholders have one type in all of its expressions.
type analysis struct {
	ctx     context.Context
	tables  catalogue
	builtin functions
	sema    tree.SemaContext
}

// expression checks one and returns it with its type. desired is the type that its place would like.
func (a *analysis) expression(e tree.Expr, s *scope, desired *types.T) (tree.TypedExpr, error) {
	v := &resolver{analysis: a, scope: s}
	resolved, _ := tree.WalkExpr(v, e)
	if v.err != nil {
		return nil, v.err
	}
	if desired == nil {
		desired = types.AnyElement
	}
	return tree.TypeCheck(a.ctx, resolved, &a.sema, desired)
}

// condition checks an expression that must be a boolean one; nil is none.
func (a *analysis) condition(e tree.Expr, s *scope, what string) error {
	if e == nil {
		return nil
	}
	typed, err := a.expression(e, s, types.Bool)
	if err != nil {
		return err
	}
	return a.fits(typed.ResolvedType(), types.Bool, what)
}

// assign checks an expression whose value goes into a column.
func (a *analysis) assign(e tree.Expr, s *scope, name string, typ *types.T) error {
	if _, ok := e.(tree.DefaultVal); ok {
		return nil
	}
	typed, err := a.expression(e, s, typ)
	if err != nil {
		return err
	}
	return a.fits(typed.ResolvedType(), typ, "column "+name)
}

// fits tells whether a value of one type may be put where another is wanted.
func (a *analysis) fits(got, want *types.T, what string) error {
	if got.Family() == types.UnknownFamily || want.Family() == types.AnyFamily || got.Equivalent(want) ||
		cast.ValidCast(got, want, cast.ContextAssignment) {
		return nil
	}
	return fmt.Errorf("%s is of type %s, the expression of type %s", what, want, got)
}

// resolver puts typed columns, checked subqueries and known functions into an expression, and refuses placeholders whose
// type would be guessed.
type resolver struct {
	*analysis
	scope *scope
	err   error
}

// VisitPre implements tree.Visitor.
func (r *resolver) VisitPre(e tree.Expr) (recurse bool, out tree.Expr) {
	if r.err != nil {
		return false, e
	}
	switch e := e.(type) {
	case *tree.UnresolvedName:
		c, err := r.scope.resolve(e.Parts[1], e.Parts[0])
		if err != nil {
			return r.fail(err, e)
		}
		return false, &typedColumn{c}
	case *tree.Subquery:
		return r.subquery(e, false)
	case *tree.ComparisonExpr:
		return r.comparison(e)
	case *tree.BinaryExpr:
		if bare(e.Left) || bare(e.Right) {
			return r.fail(fmt.Errorf("a placeholder inside arithmetic needs a cast: %s", e), e)
		}
	case *tree.FuncExpr:
		return r.function(e)
	}
	return true, e
}

// VisitPost implements tree.Visitor.
func (r *resolver) VisitPost(e tree.Expr) tree.Expr { return e }

func (r *resolver) fail(err error, e tree.Expr) (recurse bool, out tree.Expr) {
	r.err = err
	return false, e
}

// comparison knows the subqueries on the right side of IN and ANY, which are sets of rows rather than values.
func (r *resolver) comparison(e *tree.ComparisonExpr) (recurse bool, out tree.Expr) {
	sub, ok := e.Right.(*tree.Subquery)
	if !ok {
		return true, e
	}
	switch e.Operator.Symbol {
	case treecmp.In, treecmp.NotIn, treecmp.Any, treecmp.Some, treecmp.All:
	default:
		return true, e
	}
	c := *e
	if _, c.Right = r.subquery(sub, true); r.err != nil {
		return false, e
	}
	c.Left, _ = tree.WalkExpr(r, e.Left)
	return false, &c
}

// subquery checks one in an expression.
func (r *resolver) subquery(e *tree.Subquery, set bool) (recurse bool, out tree.Expr) {
	columns, err := r.selection(e.Select, r.scope.child(), nil)
	if err != nil {
		return r.fail(err, e)
	}
	all := make([]*types.T, len(columns))
	for i, c := range columns {
		all[i] = c.typ
	}
	typ := types.Bool
	switch {
	case e.Exists:
	case len(all) == 1:
		typ = all[0]
	default:
		typ = types.MakeTuple(all)
	}
	if set {
		typ = types.MakeTuple([]*types.T{typ})
	}
	c := *e
	c.SetType(typ)
	return false, &c
}

// function finds the signatures of one.
func (r *resolver) function(e *tree.FuncExpr) (recurse bool, out tree.Expr) {
	name := e.Func.String()
	known, ok := r.builtin.find(name)
	if !ok {
		return r.fail(fmt.Errorf("function %s is not known to this check: put what CockroachDB documents of it into builtins.go", name),
			e)
	}
	c := *e
	c.Func = tree.ResolvableFunctionReference{FunctionReference: known}
	c.Exprs = nil
	for _, arg := range e.Exprs {
		if bare(arg) {
			return r.fail(fmt.Errorf("a placeholder as a function's argument needs a cast: %s", e), e)
		}
		if _, star := arg.(tree.UnqualifiedStar); !star {
			c.Exprs = append(c.Exprs, arg)
		}
	}
	return true, &c
}

// bare tells whether an expression is a placeholder whose type nothing names.
func bare(e tree.Expr) bool {
	_, is := tree.StripParens(e).(*tree.Placeholder)
	return is
}

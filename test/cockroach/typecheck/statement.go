package typecheck

import (
	"fmt"

	"github.com/cockroachdb/cockroachdb-parser/pkg/sql/sem/tree"
	"github.com/cockroachdb/cockroachdb-parser/pkg/sql/types"
)

// statement checks one and returns the columns that it answers with.
func (a *analysis) statement(n tree.Statement, s *scope, desired []*types.T) ([]column, error) {
	switch n := n.(type) {
	case *tree.Select:
		return a.query(n, s, desired)
	case *tree.ParenSelect:
		return a.query(n.Select, s, desired)
	case *tree.SelectClause:
		return a.selection(n, s, desired)
	case *tree.ValuesClause:
		return a.values(n, s, desired)
	case *tree.Insert:
		return a.insert(n, s)
	case *tree.Update:
		return a.update(n, s)
	case *tree.Delete:
		return a.delete(n, s)
	case *tree.Explain:
		_, err := a.statement(n.Statement, s, nil)
		return nil, err
	case *tree.CreateTable:
		return nil, a.make(n)
	case *tree.AlterTable:
		return nil, a.alter(n)
	case *tree.CreateIndex:
		return nil, a.index(n)
	}
	return nil, withoutExpressions(n)
}

// withoutExpressions is the list of the statements of which nothing but the text is checked.
func withoutExpressions(n tree.Statement) error {
	switch n.(type) {
	case *tree.BeginTransaction, *tree.CommitTransaction, *tree.RollbackTransaction, *tree.SetTransaction,
		*tree.Savepoint, *tree.ReleaseSavepoint, *tree.RollbackToSavepoint, *tree.SetVar, *tree.ShowVar, *tree.ShowDatabases,
		*tree.Deallocate,
		*tree.CreateDatabase, *tree.DropDatabase, *tree.CreateSchema, *tree.DropSchema, *tree.CommentOnSchema, *tree.CommentOnDatabase,
		*tree.DropTable, *tree.DropIndex, *tree.Truncate, *tree.RenameTable, *tree.RenameColumn,
		*tree.CreateRole, *tree.AlterRole, *tree.AlterRoleSet, *tree.DropRole, *tree.Grant, *tree.Revoke, *tree.GrantRole,
		*tree.RevokeRole,
		*tree.AlterDatabaseOwner, *tree.AlterSchema, *tree.ReassignOwnedBy, *tree.DropOwnedBy, *tree.SetZoneConfig, *tree.ShowSessions,
		*tree.CancelSessions, *tree.CommentOnTable, *tree.CommentOnColumn, *tree.AlterSequence, *tree.CreateSequence, *tree.Analyze:
		return nil
	}
	return fmt.Errorf("this check does not know %T", n)
}

// target returns the table that a statement writes to.
func (a *analysis) target(n tree.TableExpr) ([]column, error) {
	var as tree.AliasClause
	if aliased, ok := n.(*tree.AliasedTableExpr); ok {
		n, as = aliased.Expr, aliased.As
	}
	name, ok := n.(*tree.TableName)
	if !ok {
		return nil, fmt.Errorf("this check does not know %T as a target", n)
	}
	t, ok := a.tables.find(name.Schema(), name.Table())
	if !ok || t == nil {
		return nil, fmt.Errorf("unknown table %s", name)
	}
	return renamed(t.columns, as, name.Table())
}

func pick(columns []column, names tree.NameList) ([]column, error) {
	if len(names) == 0 {
		return columns, nil
	}
	out := make([]column, len(names))
	for i, name := range names {
		c, err := columnOf(&table{columns: columns}, string(name))
		if err != nil {
			return nil, err
		}
		out[i] = c
	}
	return out, nil
}

func (a *analysis) insert(n *tree.Insert, s *scope) ([]column, error) {
	s, err := a.withs(n.With, s)
	if err != nil {
		return nil, err
	}
	columns, err := a.target(n.Table)
	if err != nil {
		return nil, err
	}
	into, err := pick(columns, n.Columns)
	if err != nil {
		return nil, err
	}
	if n.Rows != nil && n.Rows.Select != nil {
		desired := make([]*types.T, len(into))
		for i, c := range into {
			desired[i] = c.typ
		}
		rows, err := a.query(n.Rows, s, desired)
		if err != nil {
			return nil, err
		}
		if len(rows) > len(into) || len(n.Columns) > 0 && len(rows) != len(into) {
			return nil, fmt.Errorf("INSERT of %d expressions into %d columns", len(rows), len(into))
		}
		for i, r := range rows {
			if err := a.fits(r.typ, into[i].typ, "column "+into[i].name); err != nil {
				return nil, err
			}
		}
	}
	if err := a.conflict(n.OnConflict, columns, s); err != nil {
		return nil, err
	}
	s = s.child()
	s.columns = columns
	return a.returning(n.Returning, s)
}

func (a *analysis) conflict(n *tree.OnConflict, columns []column, s *scope) error {
	if n == nil || n.IsUpsertAlias() {
		return nil
	}
	if _, err := pick(columns, n.Columns); err != nil {
		return err
	}
	s = s.child()
	s.columns = columns
	if err := a.condition(n.ArbiterPredicate, s, "ON CONFLICT"); err != nil {
		return err
	}
	excluded, err := renamed(columns, tree.AliasClause{Alias: "excluded"}, "")
	if err != nil {
		return err
	}
	both := s.child()
	both.columns = excluded
	// The table's own columns come first where a name has no table: the server tells whether it is ambiguous.
	inner := both.child()
	inner.columns = columns
	if err := a.sets(n.Exprs, columns, inner); err != nil || n.Where == nil {
		return err
	}
	return a.condition(n.Where.Expr, inner, "WHERE")
}

// sets checks the assignments of an UPDATE.
func (a *analysis) sets(exprs tree.UpdateExprs, columns []column, s *scope) error {
	for _, e := range exprs {
		into, err := pick(columns, e.Names)
		if err != nil {
			return err
		}
		if !e.Tuple {
			if err := a.assign(e.Expr, s, into[0].name, into[0].typ); err != nil {
				return err
			}
			continue
		}
		if sub, ok := e.Expr.(*tree.Subquery); ok {
			if _, err := a.selection(sub.Select, s.child(), nil); err != nil {
				return err
			}
			continue
		}
		tuple, ok := e.Expr.(*tree.Tuple)
		if !ok || len(tuple.Exprs) != len(into) {
			return fmt.Errorf("%d columns are set to %s", len(into), e.Expr)
		}
		for i, c := range into {
			if err := a.assign(tuple.Exprs[i], s, c.name, c.typ); err != nil {
				return err
			}
		}
	}
	return nil
}

func (a *analysis) update(n *tree.Update, s *scope) ([]column, error) {
	s, err := a.withs(n.With, s)
	if err != nil {
		return nil, err
	}
	columns, err := a.target(n.Table)
	if err != nil {
		return nil, err
	}
	s = s.child()
	s.columns = columns
	if err := a.from(n.From, s); err != nil {
		return nil, err
	}
	if err := a.sets(n.Exprs, columns, s); err != nil {
		return nil, err
	}
	return a.rest(n.Where, n.OrderBy, n.Limit, n.Returning, s)
}

func (a *analysis) delete(n *tree.Delete, s *scope) ([]column, error) {
	s, err := a.withs(n.With, s)
	if err != nil {
		return nil, err
	}
	columns, err := a.target(n.Table)
	if err != nil {
		return nil, err
	}
	s = s.child()
	s.columns = columns
	if err := a.from(n.Using, s); err != nil {
		return nil, err
	}
	return a.rest(n.Where, n.OrderBy, n.Limit, n.Returning, s)
}

func (a *analysis) rest(where *tree.Where, by tree.OrderBy, limit *tree.Limit, returning tree.ReturningClause,
	s *scope) ([]column, error) {
	if where != nil {
		if err := a.condition(where.Expr, s, "WHERE"); err != nil {
			return nil, err
		}
	}
	if err := a.order(by, s, nil); err != nil {
		return nil, err
	}
	if err := a.limit(limit, s); err != nil {
		return nil, err
	}
	return a.returning(returning, s)
}

func (a *analysis) returning(n tree.ReturningClause, s *scope) ([]column, error) {
	exprs, ok := n.(*tree.ReturningExprs)
	if !ok {
		return nil, nil
	}
	return a.outputs(tree.SelectExprs(*exprs), s, nil)
}

// index checks the columns and the condition of one.
func (a *analysis) index(n *tree.CreateIndex) error {
	t, ok := a.tables.find(n.Table.Schema(), n.Table.Table())
	if !ok || t == nil {
		return fmt.Errorf("unknown table %s", &n.Table)
	}
	s := &scope{columns: t.columns}
	for _, each := range n.Columns {
		if each.Expr != nil {
			if _, err := a.expression(each.Expr, s, nil); err != nil {
				return err
			}
			continue
		}
		if _, err := columnOf(t, string(each.Column)); err != nil {
			return err
		}
	}
	return a.condition(n.Predicate, s, "WHERE")
}

// Package source finds the SQL statements in the Go sources of a folder: every string expression that begins as one does.
//
// A concatenation of constants has its value. What is known at run time only is played: the result of database.Quote by a
// name, of database.Literal by a text, any other by a name, a verb of fmt.Sprintf by what it is given. A constant that is only
// a part of longer ones is not a statement.
package source

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"io/fs"
	"path/filepath"
	"regexp"
	"strings"
)

// Statement is one in the source.
type Statement struct {
	// Position is its file, relative to the folder, and line.
	Position string
	Text     string
}

var begin = regexp.MustCompile(`^\s*(SELECT|INSERT INTO|UPDATE|DELETE FROM|WITH|CREATE|ALTER|DROP|GRANT|REVOKE|REASSIGN|COMMENT ON|SET|TRUNCATE|EXPLAIN)\s`)

// Statements returns those of all packages under folders of root, tests left out.
func Statements(root string, folders ...string) ([]Statement, error) {
	packages := map[string][]string{}
	for _, folder := range folders {
		err := filepath.WalkDir(filepath.Join(root, folder), func(path string, entry fs.DirEntry, err error) error {
			if err == nil && !entry.IsDir() && strings.HasSuffix(path, ".go") && !strings.HasSuffix(path, "_test.go") {
				packages[filepath.Dir(path)] = append(packages[filepath.Dir(path)], path)
			}
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	var found []Statement
	for _, files := range packages {
		p := &reader{root: root, fset: token.NewFileSet(), alone: map[types.Object]bool{}}
		if err := p.load(files); err != nil {
			return nil, err
		}
		found = append(found, p.statements()...)
	}
	return found, nil
}

// reader reads one package.
type reader struct {
	root  string
	fset  *token.FileSet
	files []*ast.File
	info  *types.Info
	alone map[types.Object]bool // used by itself
}

// load evaluates the package's constants. Other packages are not read: what needs them has no value.
func (r *reader) load(files []string) error {
	for _, name := range files {
		f, err := parser.ParseFile(r.fset, name, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		r.files = append(r.files, f)
	}
	r.info = &types.Info{Types: map[ast.Expr]types.TypeAndValue{}, Uses: map[*ast.Ident]types.Object{},
		Defs: map[*ast.Ident]types.Object{}}
	config := types.Config{Importer: nothing{}, Error: func(error) {}, FakeImportC: true}
	_, _ = config.Check(r.files[0].Name.Name, r.fset, r.files, r.info) // every import is an error
	return nil
}

type nothing struct{}

var errNotRead = errors.New("not read")

// Import implements types.Importer.
func (nothing) Import(string) (*types.Package, error) { return nil, errNotRead }

func (r *reader) statements() (found []Statement) {
	for _, f := range r.files {
		ast.Inspect(f, r.use())
	}
	for _, f := range r.files {
		ast.Inspect(f, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.ImportSpec, *ast.Field, *ast.Ident: // a field has types and a tag
				return false
			case *ast.ValueSpec:
				return !r.isPart(n)
			case ast.Expr:
				text, ok := r.text(n)
				if ok && begin.MatchString(text) {
					found = append(found, Statement{Position: r.position(n), Text: text})
				}
				return !ok
			}
			return true
		})
	}
	return found
}

// use notes the names that are used by themselves rather than as parts of a concatenation.
func (r *reader) use() func(ast.Node) bool {
	part := map[ast.Node]bool{}
	return func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.BinaryExpr:
			if n.Op == token.ADD {
				part[n.X], part[n.Y] = true, true
			}
		case *ast.Ident:
			if o := r.info.Uses[n]; o != nil && !part[n] {
				r.alone[o] = true
			}
		}
		return true
	}
}

// isPart tells whether a declaration is of one constant that is never used but in concatenations.
func (r *reader) isPart(n *ast.ValueSpec) bool {
	if len(n.Names) != 1 || n.Names[0].IsExported() {
		return false
	}
	o := r.info.Defs[n.Names[0]]
	_, constant := o.(*types.Const)
	return constant && !r.alone[o]
}

func (r *reader) position(e ast.Expr) string {
	at := r.fset.Position(e.Pos())
	name, err := filepath.Rel(r.root, at.Filename)
	if err != nil {
		name = at.Filename
	}
	return fmt.Sprintf("%s:%d", filepath.ToSlash(name), at.Line)
}

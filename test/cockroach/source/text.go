package source

import (
	"go/ast"
	"go/constant"
	"go/token"
	"regexp"
	"strconv"
	"strings"
)

// What stands for a name, a text and a number that are known at run time only.
const (
	playedName   = `"x"`
	playedText   = `'x'`
	playedNumber = `1`
)

// text returns the value of a string expression, parts of it played. An expression without any constant part has none.
func (r *reader) text(e ast.Expr) (string, bool) {
	if v := r.info.Types[e].Value; v != nil {
		if v.Kind() != constant.String {
			return "", false
		}
		return constant.StringVal(v), true
	}
	switch e := e.(type) {
	case *ast.BasicLit:
		text, err := strconv.Unquote(e.Value)
		return text, e.Kind == token.STRING && err == nil
	case *ast.ParenExpr:
		return r.text(e.X)
	case *ast.BinaryExpr:
		return r.joined(e)
	case *ast.CallExpr:
		if called(e) == "fmt.Sprintf" && len(e.Args) > 0 {
			return r.formatted(e)
		}
	}
	return "", false
}

func (r *reader) joined(e *ast.BinaryExpr) (string, bool) {
	if e.Op != token.ADD {
		return "", false
	}
	left, known := r.text(e.X)
	right, knownToo := r.text(e.Y)
	if !known && !knownToo {
		return "", false
	}
	if !known {
		left = r.played(e.X)
	}
	if !knownToo {
		right = r.played(e.Y)
	}
	return left + right, true
}

var verb = regexp.MustCompile(`%[a-z]`)

func (r *reader) formatted(e *ast.CallExpr) (string, bool) {
	format, ok := r.text(e.Args[0])
	if !ok {
		return "", false
	}
	i := 0
	return verb.ReplaceAllStringFunc(format, func(v string) string {
		i++
		if v == "%d" || i >= len(e.Args) {
			return playedNumber
		}
		if text, ok := r.text(e.Args[i]); ok {
			return text
		}
		return r.played(e.Args[i])
	}), true
}

// played stands for the value of an expression.
func (r *reader) played(e ast.Expr) string {
	call, ok := e.(*ast.CallExpr)
	switch {
	case ok && strings.HasSuffix(called(call), "Literal"):
		return playedText
	case ok && strings.HasPrefix(called(call), "strconv."):
		return playedNumber
	}
	return playedName
}

// called names the function of a call as the source does.
func called(e *ast.CallExpr) string {
	switch f := e.Fun.(type) {
	case *ast.Ident:
		return f.Name
	case *ast.SelectorExpr:
		if of, ok := f.X.(*ast.Ident); ok {
			return of.Name + "." + f.Sel.Name
		}
		return f.Sel.Name
	}
	return ""
}

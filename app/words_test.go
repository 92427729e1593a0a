package app_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// privateWords were this project's own words for what the field has a term for, which follows each. No identifier has one.
var privateWords = map[string]string{
	"asker": "resolver", "belongings": "resources", "calm": "demote", "debts": "tokens", "doubt": "uncertain", "examine": "audit",
	"fortune": "status",
	"glance":  "poll", "havoc": "faults", "hurry": "promote", "judge": "validate", "lack": "missing", "ledger": "store",
	"look": "poll, probe, scan or reconcile", "looked": "polled, probed, scanned or reconciled",
	"looking": "polling, probing or scanning", "looks": "polls, probes, scans or reconciles",
	"mend":  "repair",
	"nudge": "notify", "settle": "converge", "settled": "converged", "settles": "converges", "tell": "report", "thing": "object",
	"told": "notified", "overview": "status or admin", "patience": "timeout", "raced": "conflict", "sighting": "observation",
	"steady": "prepared",
	"stock":  "inventory", "trouble": "failure", "vague": "ambiguous", "vanished": "deleted", "verdict": "result", "wish": "desired",
	"wished": "desired", "wishes": "desired", "world": "actual state",
}

// plainEnglish are those of them that a sentence may use in their usual sense.
var plainEnglish = []string{"calm", "doubt", "examine", "judge", "lack", "look", "looked", "looking", "looks", "settle",
	"settled", "settles", "steady", "stock", "tell", "thing", "trouble", "vague", "world"}

// foreignNames are identifiers of other packages.
var foreignNames = []string{"LookPath"}

var (
	identifierWord = regexp.MustCompile(`[A-Z]?[a-z]+`)
	// A column's name, written with underscores, is one word.
	textWord = regexp.MustCompile(`[A-Za-z_]+`)
)

// term returns the first private word of a passage and the standard term for it, or "".
func (p passage) term() (found, term string) {
	if slices.Contains(foreignNames, p.words) {
		return "", ""
	}
	pattern := textWord
	if p.identifier {
		pattern = identifierWord
	}
	for _, found = range pattern.FindAllString(p.words, -1) {
		private := strings.ToLower(found)
		if term = privateWords[private]; term != "" && (p.identifier || !slices.Contains(plainEnglish, private)) {
			return found, term
		}
	}
	return "", ""
}

func TestNamesAndTextsUseStandardTerms(t *testing.T) {
	t.Parallel()
	files := 0
	require.NoError(t, filepath.WalkDir("..", func(file string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			if entry != nil && strings.HasPrefix(entry.Name(), ".") && entry.Name() != ".." {
				return fs.SkipDir
			}
			return err
		}
		if filepath.Base(file) == "words_test.go" {
			return nil
		}
		texts := textsOf(t, file)
		files += min(1, len(texts))
		for _, text := range texts {
			if found, term := text.term(); term != "" {
				t.Errorf("%s:%d: %q: the standard term is %s", file, text.line, found, term)
			}
		}
		return nil
	}))
	require.Greater(t, files, 300, "the files were not found")
}

// passage is a name or a text somewhere in a file.
type passage struct {
	line       int
	words      string
	identifier bool
}

// textsOf returns the names, comments and texts of a Go file, the lines of a document, and of any other file nothing.
func textsOf(t *testing.T, file string) (texts []passage) {
	t.Helper()
	switch filepath.Ext(file) {
	case ".md", ".yaml":
		content, err := os.ReadFile(file)
		require.NoError(t, err)
		for i, line := range strings.Split(string(content), "\n") {
			texts = append(texts, passage{line: i + 1, words: line})
		}
	case ".go":
		set := token.NewFileSet()
		parsed, err := parser.ParseFile(set, file, nil, parser.ParseComments)
		require.NoError(t, err)
		if ast.IsGenerated(parsed) {
			return nil
		}
		add := func(at token.Pos, words string, identifier bool) {
			texts = append(texts, passage{set.Position(at).Line, words, identifier})
		}
		for _, group := range parsed.Comments {
			add(group.Pos(), group.Text(), false)
		}
		ast.Inspect(parsed, func(node ast.Node) bool {
			switch node := node.(type) {
			case *ast.Ident:
				add(node.Pos(), node.Name, true)
			case *ast.BasicLit:
				if node.Kind == token.STRING {
					unquoted, _ := strconv.Unquote(node.Value)
					add(node.Pos(), unquoted, false)
				}
			}
			return true
		})
	}
	return texts
}

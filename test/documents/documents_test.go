// Package documents_test compares what the documents say with what there is.
package documents_test

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"app238.com/inner/app/config"
	"app238.com/inner/configs"
)

// root is the repository.
const root = "../.."

// documents returns the texts of all documents, by their paths below root.
func documents(t *testing.T) map[string]string {
	t.Helper()
	found := files(t, ".md")
	for _, expected := range []string{"README.md", "CHANGELOG.md", "CONTRIBUTING.md", "docs/operating.md", "docs/developing.md",
		"docs/architecture.md", "docs/commands.md"} {
		require.Contains(t, found, expected)
	}
	return found
}

// files returns the texts of the files whose names end so.
func files(t *testing.T, ending string) map[string]string {
	t.Helper()
	found := map[string]string{}
	require.NoError(t, filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && (entry.Name() == ".git" || entry.Name() == "node_modules") {
			return filepath.SkipDir
		}
		if entry.IsDir() || !strings.HasSuffix(path, ending) {
			return nil
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		below, err := filepath.Rel(root, path)
		found[filepath.ToSlash(below)] = string(content)
		return err
	}))
	return found
}

// all calls check with the first group of every match in every document, and wants at least so many of them.
func all(t *testing.T, pattern string, atLeast int, check func(document, text string)) {
	t.Helper()
	n := 0
	for path, content := range documents(t) {
		for _, match := range regexp.MustCompile(pattern).FindAllStringSubmatch(content, -1) {
			n++
			check(path, match[1])
		}
	}
	require.GreaterOrEqual(t, n, atLeast, "%s is looked for in vain", pattern)
}

func TestEveryLinkIsValid(t *testing.T) {
	t.Parallel()
	texts := documents(t)
	all(t, `\]\(([^)\s]+)\)`, 20, func(document, link string) {
		if strings.Contains(link, "://") {
			return
		}
		path, anchor, _ := strings.Cut(link, "#")
		target := document
		if path != "" {
			target = filepath.ToSlash(filepath.Join(filepath.Dir(document), path))
			_, err := os.Stat(filepath.Join(root, target))
			require.NoError(t, err, "%s: %s", document, link)
		}
		if anchor != "" {
			require.Contains(t, anchors(texts[target]), anchor, "%s: %s", document, link)
		}
	})
}

var notInAnchors = regexp.MustCompile(`[^a-z0-9 _-]`)

// anchors returns what a link can name of a document: its headings.
func anchors(text string) []string {
	var found []string
	for line := range strings.Lines(text) {
		if heading, ok := strings.CutPrefix(strings.TrimLeft(line, "#"), " "); ok && strings.HasPrefix(line, "#") {
			plain := notInAnchors.ReplaceAllString(strings.ToLower(strings.TrimSpace(heading)), "")
			found = append(found, strings.ReplaceAll(plain, " ", "-"))
		}
	}
	return found
}

func TestEveryNamedPathExists(t *testing.T) {
	t.Parallel()
	all(t, "`((?:app|modules|configs|docs|test|cmd|ent)/[A-Za-z0-9_./-]+)`", 40, func(document, path string) {
		_, err := os.Stat(filepath.Join(root, path))
		require.NoError(t, err, "%s names %s", document, path)
	})
}

func TestEveryNamedTestExists(t *testing.T) {
	t.Parallel()
	there := map[string]bool{}
	for _, content := range files(t, "_test.go") {
		for _, match := range regexp.MustCompile(`(?m)^func (Test[A-Za-z0-9_]+)\(`).FindAllStringSubmatch(content, -1) {
			there[match[1]] = true
		}
	}
	all(t, "`(Test[A-Z][A-Za-z0-9]+)…?`", 2, func(document, name string) {
		for one := range there {
			if strings.HasPrefix(one, name) { // the end may be left out: TestThat…
				return
			}
		}
		t.Errorf("%s names %s", document, name)
	})
}

func TestEveryNamedSettingExists(t *testing.T) {
	t.Parallel()
	var defaults map[string]any
	require.NoError(t, yaml.Unmarshal(configs.Defaults, &defaults))
	groups := make([]string, 0, len(defaults))
	for group := range defaults {
		groups = append(groups, group)
	}
	all(t, "`((?:"+strings.Join(groups, "|")+`)\.[A-Za-z.]*[A-Za-z])(?:[`+"`"+` {,:=]|\.\{)`, 30, func(document, key string) {
		var value any = defaults
		if key == "domain.check" {
			return // a job type
		}
		for part := range strings.SplitSeq(key, ".") {
			group, ok := value.(map[string]any)
			require.True(t, ok, "%s names %s", document, key)
			value, ok = group[part]
			require.True(t, ok, "%s names %s", document, key)
		}
	})
	all(t, `\b(INNER_[A-Z_]*[A-Z])\b`, 10, func(document, variable string) {
		require.Empty(t, config.UnknownVariables([]string{variable + "=x"}), document)
	})
}

func TestEveryNamedCommandExists(t *testing.T) {
	t.Parallel()
	commands := documents(t)["docs/commands.md"]
	all(t, "(?m)(?:`|^|/)(inner [a-z-]+(?: [a-z-]+)?)", 40, func(document, words string) {
		parts := strings.Fields(words)
		section := "\n## inner " + parts[1]
		if parts[1] == "completion" { // cobra's own
			return
		}
		require.Contains(t, commands, section, "%s names `%s`", document, words)
		if len(parts) == 3 && strings.Contains(commands, section+" ") {
			require.Contains(t, commands, section+" "+parts[2]+"\n", "%s names `%s`", document, words)
		}
	})
}

func TestEveryNamedMakeTargetExists(t *testing.T) {
	t.Parallel()
	makefile, err := os.ReadFile(filepath.Join(root, "Makefile"))
	require.NoError(t, err)
	all(t, "(?m)(?:`|^)make ([a-z-]+)", 8, func(document, target string) {
		require.Contains(t, string(makefile), "\n"+target+":", "%s names make %s", document, target)
	})
}

func TestDecisionsAreNumberedWithoutGaps(t *testing.T) {
	t.Parallel()
	numbers := map[string]string{}
	for path, content := range documents(t) {
		if filepath.Dir(path) != "docs/decisions" {
			continue
		}
		number, _, _ := strings.Cut(filepath.Base(path), "-")
		require.Regexp(t, `^\d{4}$`, number, path)
		require.Empty(t, numbers[number], path)
		numbers[number] = path
		require.Regexp(t, `^# 0*`+strings.TrimLeft(number, "0")+`\. `, content, path)
		require.Regexp(t, `(?m)^Status: (accepted|superseded), 20\d\d-\d\d-\d\d[.,]`, content, path)
		require.Greater(t, len(strings.Fields(content)), 40, path)
	}
	require.NotEmpty(t, numbers)
	for n := range len(numbers) {
		require.Contains(t, numbers, fmt.Sprintf("%04d", n+1))
	}
}

func TestLinksShowTheNumberOfTheirDecision(t *testing.T) {
	t.Parallel()
	all(t, `\[(?:decision )?(\d+\]\((?:[a-z]+/)?\d{4})-`, 20, func(document, link string) {
		shown, target, _ := strings.Cut(link, "](")
		require.Equal(t, shown, strings.TrimLeft(filepath.Base(target), "0"), document)
	})
}

func TestOperatingGuideMatchesAlerts(t *testing.T) {
	t.Parallel()
	var rules struct {
		Groups []struct {
			Rules []struct{ Alert string }
		}
	}
	require.NoError(t, yaml.Unmarshal(configs.Alerts, &rules))
	var there, explained []string
	for _, group := range rules.Groups {
		for _, rule := range group.Rules {
			there = append(there, rule.Alert)
		}
	}
	for _, row := range regexp.MustCompile("(?m)^\\| <a id=\"[a-z]+\"></a>`(Inner[A-Za-z]+)` \\|([^|]+)\\|([^|]+)\\|$").FindAllStringSubmatch(documents(t)["docs/operating.md"], -1) {
		explained = append(explained, row[1])
		require.NotEmpty(t, strings.TrimSpace(row[2]), "what %s means", row[1])
		require.NotEmpty(t, strings.TrimSpace(row[3]), "what to do about %s", row[1])
	}
	require.NotEmpty(t, there)
	require.ElementsMatch(t, there, explained)
}

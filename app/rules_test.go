package app_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const project = "app238.com/inner/"

// seams are the packages by which a module may be used from another.
var seams = []string{
	"modules/audit/inventory", "modules/combinator/admin", "modules/controller/rollout", "modules/controller/workerapp",
	"modules/tasks/job",
}

// kubernetesPackages are the folders that may use Kubernetes' libraries. Tests may use them everywhere.
var kubernetesPackages = []string{"app/kube", "modules/controller", "modules/workers/internal/cluster",
	"modules/domains/internal/cluster", "modules/domains/internal/objects", "test"}

// imported is one import of one file.
type imported struct{ file, folder, path string }

// violation returns the rule that an import violates, or "".
func (i imported) violation() string {
	own, ours := strings.CutPrefix(i.path, project)
	switch {
	case i.path == strings.TrimSuffix(project, "/")+"/app" && !underAny(i.folder, []string{"cmd", "test"}) && i.folder != "app":
		return "app is imported only in cmd and test"
	case strings.HasPrefix(i.path, "k8s.io/") && !underAny(i.folder, kubernetesPackages) && !strings.HasSuffix(i.file, "_test.go"):
		return "Kubernetes is used only in " + strings.Join(kubernetesPackages, ", ")
	case strings.HasPrefix(i.path, "go.opentelemetry.io/") && !underAny(i.folder, []string{"app/tracing", "test"}):
		return "OpenTelemetry is used only in app/tracing"
	case i.path == "github.com/lib/pq" && !underAny(i.folder, []string{"app/database", "test"}):
		return "the driver is used only in app/database"
	case strings.HasPrefix(i.path, "github.com/tikv/") && !underAny(i.folder, []string{"modules/combinator/internal/kv", "test"}) &&
		!strings.HasSuffix(i.file, "_test.go"):
		return "TiKV's client is used only in modules/combinator/internal/kv"
	case i.path == "sigs.k8s.io/yaml" || strings.HasPrefix(i.path, "gopkg.in/yaml."):
		return "YAML is read and written with go.yaml.in/yaml/v3"
	case i.path == "github.com/spf13/cobra/doc" && !strings.HasSuffix(i.file, "_test.go"):
		return "the program does not hold a generator of documentation"
	case !ours:
		return ""
	case under(own, "test") && !under(i.folder, "test") && !strings.HasSuffix(i.file, "_test.go"):
		return "the product does not use test code"
	case under(own, "modules") && under(i.folder, "app") && i.folder != "app":
		return "what modules stand on does not know them"
	case under(own, "modules") && under(i.folder, "modules") && module(own) != module(i.folder) && !underAny(own, seams):
		return "modules meet only through " + strings.Join(seams, ", ")
	}
	return ""
}

func under(folder, root string) bool { return folder == root || strings.HasPrefix(folder, root+"/") }

func underAny(folder string, roots []string) bool {
	for _, root := range roots {
		if under(folder, root) {
			return true
		}
	}
	return false
}

// module returns the name of the module that a folder below modules belongs to.
func module(folder string) string {
	return strings.SplitN(strings.TrimPrefix(folder, "modules/"), "/", 2)[0]
}

func TestImportRulesHold(t *testing.T) {
	t.Parallel()
	imports := allImports(t)
	require.Greater(t, len(imports), 100, "the imports were not found")
	for _, i := range imports {
		if violation := i.violation(); violation != "" {
			t.Errorf("%s imports %s: %s", i.file, i.path, violation)
		}
	}
}

func TestImportRulesFindViolations(t *testing.T) {
	t.Parallel()
	for _, wrong := range []imported{
		{"modules/tasks/a.go", "modules/tasks", project + "app"},
		{"modules/tasks/a.go", "modules/tasks", "k8s.io/client-go/kubernetes"},
		{"modules/workers/a.go", "modules/workers", project + "modules/tasks"},
		{"modules/workers/a.go", "modules/workers", project + "modules/controller/internal/content"},
		{"app/server/a.go", "app/server", project + "modules/tasks/job"},
		{"modules/workers/a.go", "modules/workers", "github.com/lib/pq"},
		{"modules/combinator/internal/jobs/a.go", "modules/combinator/internal/jobs", "github.com/tikv/client-go/v2/txnkv"},
		{"modules/workers/a.go", "modules/workers", project + "modules/combinator/internal/rdb"},
		{"app/server/a.go", "app/server", project + "test/stack"},
		{"app/config/a_test.go", "app/config", "sigs.k8s.io/yaml"},
		{"cmd/inner/a.go", "cmd/inner", "github.com/spf13/cobra/doc"},
		{"modules/tasks/a.go", "modules/tasks", "go.opentelemetry.io/otel"},
	} {
		require.NotEmpty(t, wrong.violation(), "%+v", wrong)
	}
}

func TestModulesAreShortAndNoPackageIsCatchAll(t *testing.T) {
	t.Parallel()
	modules, err := filepath.Glob("../modules/*/module.go")
	require.NoError(t, err)
	require.NotEmpty(t, modules)
	for _, file := range modules {
		content, err := os.ReadFile(file)
		require.NoError(t, err)
		require.Less(t, strings.Count(string(content), "\n"), 60, "%s holds more than wiring", file)
	}
	for _, i := range allImports(t) {
		for _, name := range []string{"util", "utils", "common", "helper", "helpers", "misc"} {
			require.NotEqual(t, name, path.Base(i.folder), i.file)
		}
	}
}

func allImports(t *testing.T) []imported {
	t.Helper()
	var all []imported
	root := os.DirFS("..")
	require.NoError(t, fs.WalkDir(root, ".", func(file string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			// Generated code has one import path of its own; folders with a go.mod are other programs.
			if file == "ent" || file == ".git" || isModule(root, file) {
				return fs.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(file, ".go") {
			return nil
		}
		content, err := fs.ReadFile(root, file)
		if err != nil {
			return err
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file, content, parser.ImportsOnly)
		if err != nil {
			return err
		}
		for _, spec := range parsed.Imports {
			name, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			all = append(all, imported{file: file, folder: path.Dir(file), path: name})
		}
		return nil
	}))
	return all
}

func isModule(root fs.FS, folder string) bool {
	if folder == "." {
		return false
	}
	_, err := fs.Stat(root, path.Join(folder, "go.mod"))
	return err == nil
}

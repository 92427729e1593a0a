package app_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"app238.com/inner/app/openapi"
)

// description is the OpenAPI description, whose schemas are JSON Schema 2020-12, and the statuses of it that were seen.
type description struct {
	paths map[string]map[string]operation
	root  any
	// documented holds "METHOD path status".
	documented, seen map[string]bool
	compiler         *jsonschema.Compiler
}

// The parts of an operation that answers are compared with.
type (
	operation struct {
		RequestBody *body             `yaml:"requestBody"`
		Responses   map[string]answer `yaml:"responses"`
	}
	answer struct {
		Ref         string            `yaml:"$ref"`
		Description string            `yaml:"description"`
		Headers     map[string]header `yaml:"headers"`
		Content     map[string]any    `yaml:"content"`
	}
	body struct {
		Content map[string]any `yaml:"content"`
	}
	header struct {
		Ref      string `yaml:"$ref"`
		Required bool   `yaml:"required"`
	}
)

// location is the name under which the description is known to the compiler of schemas.
const location = "https://inner.invalid/openapi.json"

func newDescription(t *testing.T) *description {
	t.Helper()
	d := &description{documented: map[string]bool{}, seen: map[string]bool{}, compiler: jsonschema.NewCompiler()}
	require.NoError(t, yaml.Unmarshal(openapi.Document, &d.root))
	var content struct {
		OpenAPI string                          `yaml:"openapi"`
		Paths   map[string]map[string]operation `yaml:"paths"`
	}
	require.NoError(t, yaml.Unmarshal(openapi.Document, &content))
	require.Equal(t, "3.1.0", content.OpenAPI)
	d.paths = content.Paths
	d.compiler.DefaultDraft(jsonschema.Draft2020)
	d.compiler.AssertFormat()
	d.compiler.AssertContent()
	require.NoError(t, d.compiler.AddResource(location, d.root))
	for path, methods := range d.paths {
		for method, o := range methods {
			for status := range o.Responses {
				what := fmt.Sprintf("%s %s %s", strings.ToUpper(method), path, status)
				d.documented[what] = true
				require.NotEmpty(t, d.response(t, path, method, status).Description, what)
			}
		}
	}
	return d
}

// response returns a documented response and resolves references.
func (d *description) response(t *testing.T, path, method, status string) answer {
	t.Helper()
	found := d.paths[path][method].Responses[status]
	if found.Ref == "" {
		return found
	}
	var referred answer
	d.find(t, found.Ref, &referred)
	referred.Ref = found.Ref
	return referred
}

// find decodes what a reference names.
func (d *description) find(t *testing.T, ref string, into any) {
	t.Helper()
	value := d.root
	for name := range strings.SplitSeq(strings.TrimPrefix(ref, "#/"), "/") {
		members, ok := value.(map[string]any)
		require.True(t, ok, ref)
		value, ok = members[name]
		require.True(t, ok, "%s names nothing", ref)
	}
	encoded, err := yaml.Marshal(value)
	require.NoError(t, err)
	require.NoError(t, yaml.Unmarshal(encoded, into))
}

// check fails the test if a response, or an accepted request, does not match the description.
func (d *description) check(t *testing.T, r *http.Request, sent string, got *http.Response) (text string) {
	t.Helper()
	content, err := io.ReadAll(got.Body)
	require.NoError(t, err)
	path, method, status := d.pattern(t, r.URL.Path), strings.ToLower(r.Method), fmt.Sprint(got.StatusCode)
	what := fmt.Sprintf("%s %s %s", r.Method, path, status)
	require.True(t, d.documented[what], "%s is not documented: %s", what, content)
	d.seen[what] = true
	described := d.response(t, path, method, status)
	for name, h := range described.Headers {
		if h.Ref != "" {
			d.find(t, h.Ref, &h)
		}
		require.True(t, !h.Required || got.Header.Get(name) != "", "%s has no %s", what, name)
	}
	media, _, _ := strings.Cut(got.Header.Get("Content-Type"), ";")
	require.Contains(t, described.Content, media, what)
	if media != "application/json" {
		return string(content)
	}
	at := "#/paths/" + escape(path) + "/" + method + "/responses/" + status
	if described.Ref != "" {
		at = described.Ref
	}
	d.fits(t, at+"/content/application~1json/schema", content)
	if got.StatusCode == http.StatusOK && d.paths[path][method].RequestBody != nil {
		d.fits(t, "#/paths/"+escape(path)+"/"+method+"/requestBody/content/application~1json/schema", []byte(sent))
	}
	return string(content)
}

// fits fails the test if a JSON text is not as the schema at a place of the description says.
func (d *description) fits(t *testing.T, at string, text []byte) {
	t.Helper()
	schema, err := d.compiler.Compile(location + at)
	require.NoError(t, err)
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	require.NoError(t, err, "%s", text)
	require.NoError(t, schema.Validate(value), "%s", text)
}

func escape(path string) string {
	return strings.NewReplacer("/", "~1", "{", "%7B", "}", "%7D").Replace(path)
}

// pattern returns the documented path of a request's.
func (d *description) pattern(t *testing.T, path string) string {
	t.Helper()
	if _, ok := d.paths[path]; ok {
		return path
	}
	for pattern := range d.paths {
		begin, _, templated := strings.Cut(pattern, "{")
		rest, ok := strings.CutPrefix(path, begin)
		if templated && ok && rest != "" && !strings.Contains(rest, "/") {
			return pattern
		}
	}
	t.Fatalf("%s is not documented", path)
	return ""
}

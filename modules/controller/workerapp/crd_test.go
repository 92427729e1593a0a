package workerapp_test

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"

	"app238.com/inner/configs"
	"app238.com/inner/modules/controller/workerapp"
)

// schemaOf returns the properties of a part of the CRD's only version, and which of them are required.
func schemaOf(t *testing.T, part string) (properties map[string]any, required []string) {
	t.Helper()
	version := crdVersion(t)
	path := []string{"schema", "openAPIV3Schema", "properties", part}
	properties, found, err := unstructured.NestedMap(version, append(path, "properties")...)
	require.NoError(t, err)
	require.True(t, found)
	required, _, err = unstructured.NestedStringSlice(version, append(path, "required")...)
	require.NoError(t, err)
	return properties, required
}

func crd(t *testing.T) map[string]any {
	t.Helper()
	var content map[string]any
	require.NoError(t, yaml.Unmarshal(configs.WorkerAppCRD, &content))
	return content
}

func crdVersion(t *testing.T) map[string]any {
	t.Helper()
	versions, _, err := unstructured.NestedSlice(crd(t), "spec", "versions")
	require.NoError(t, err)
	require.Len(t, versions, 1)
	version, ok := versions[0].(map[string]any)
	require.True(t, ok)
	return version
}

// fields returns the JSON names of a struct's fields with their schema types.
func fields(of any) map[string]string {
	words := map[reflect.Kind]string{reflect.String: "string", reflect.Int64: "integer", reflect.Slice: "array"}
	found := map[string]string{}
	for _, field := range reflect.VisibleFields(reflect.TypeOf(of)) {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		found[name] = words[field.Type.Kind()]
	}
	return found
}

func TestCRDHasFieldsOfGoType(t *testing.T) {
	t.Parallel()
	for part, of := range map[string]any{"spec": workerapp.Spec{}, "status": workerapp.Status{}} {
		properties, _ := schemaOf(t, part)
		inCRD := map[string]string{}
		for name := range properties {
			kind, _, err := unstructured.NestedString(properties, name, "type")
			require.NoError(t, err)
			inCRD[name] = kind
		}
		want := fields(of)
		if part == "spec" {
			want["ownerSK"] = "string"
		}
		require.Equal(t, want, inCRD, part)
	}
}

func TestCRDRequiredFieldsMatchContract(t *testing.T) {
	t.Parallel()
	_, required := schemaOf(t, "spec")
	slices.Sort(required)
	require.Equal(t, []string{"image", "ownerID", "port", "workerID"}, required)
}

func TestCRDMatchesContract(t *testing.T) {
	t.Parallel()
	content := crd(t)
	for want, path := range map[string][]string{
		"workerapps.console.app238.com": {"metadata", "name"},
		workerapp.GroupVersion().Group:  {"spec", "group"},
		workerapp.Resource().Resource:   {"spec", "names", "plural"},
		workerapp.Kind:                  {"spec", "names", "kind"},
		"Namespaced":                    {"spec", "scope"},
	} {
		got, _, err := unstructured.NestedString(content, path...)
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	short, _, err := unstructured.NestedStringSlice(content, "spec", "names", "shortNames")
	require.NoError(t, err)
	require.Equal(t, []string{"wa"}, short)
	version := crdVersion(t)
	require.Equal(t, workerapp.GroupVersion().Version, version["name"])
	_, found, err := unstructured.NestedMap(version, "subresources", "status")
	require.NoError(t, err)
	require.True(t, found)
}

package drift

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"
)

// HashAnnotation holds the hash of the desired object: nothing else shows that a field is no longer desired.
const HashAnnotation = "console.app238.com/applied-hash"

// hashLength is the number of hexadecimal digits kept, enough to tell versions of one object apart.
const hashLength = 32

// SetHash annotates a desired object with the hash of its top-level fields, except the named ones.
func SetHash(desired *unstructured.Unstructured, except ...string) error {
	content := maps.Clone(desired.Object)
	for _, field := range except {
		delete(content, field)
	}
	sum, err := Hash(content)
	if err != nil {
		return err
	}
	annotations := maps.Clone(desired.GetAnnotations())
	if annotations == nil {
		annotations = map[string]string{}
	}
	annotations[HashAnnotation] = sum
	desired.SetAnnotations(annotations)
	return nil
}

// Hash returns the hash of an object's content as JSON, whose keys are sorted.
func Hash(content map[string]any) (string, error) {
	encoded, err := json.Marshal(content)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(encoded)
	return hex.EncodeToString(sum[:])[:hashLength], nil
}

// Differs reports whether desired, which has its SetHash annotation, must be applied over cached, the object as Annotate left
// it. Labels, annotations and owner references are compared by value. Other fields are not, since webhooks and the API server
// normalize some: there, unmanaged fields and missing fields count. An object without Annotate's annotation is compared by
// value.
func Differs(desired, cached map[string]any) bool {
	state, annotated := annotation(cached)
	if cached == nil || state == unmanaged || !contains(desired["metadata"], cached["metadata"]) {
		return true
	}
	absent := map[string]bool{}
	for path := range strings.SplitSeq(state, "\n") {
		absent[path] = true
	}
	for field, value := range desired {
		switch {
		case field == "apiVersion", field == "kind", field == "metadata":
		case annotated && isMissing(absent, "."+field, value, cached[field]), !annotated && !contains(value, cached[field]):
			return true
		}
	}
	return false
}

// contains reports whether live has every value of desired.
func contains(desired, live any) bool {
	switch d := desired.(type) {
	case map[string]any:
		l, ok := live.(map[string]any)
		for key, value := range d {
			if !ok || !contains(value, l[key]) {
				return false
			}
		}
		return true
	case []any:
		l, _ := live.([]any)
		for _, value := range d {
			if !slices.ContainsFunc(l, func(one any) bool { return contains(value, one) }) {
				return false
			}
		}
		return true
	}
	return reflect.DeepEqual(desired, live)
}

// listKeys holds the merge keys of lists by field name; every other list is atomic.
var listKeys = map[string][]string{
	"containers":                {"name"},
	"imagePullSecrets":          {"name"},
	"ports":                     {"containerPort", "port", "protocol"},
	"topologySpreadConstraints": {"topologyKey", "whenUnsatisfiable"},
}

// isMissing reports whether live lacks a desired field that is not among absent.
func isMissing(absent map[string]bool, path string, desired, live any) bool {
	if absent[path] {
		return false
	}
	switch d := desired.(type) {
	case map[string]any:
		l, ok := live.(map[string]any)
		for key, value := range d {
			if isMissing(absent, path+"."+key, value, l[key]) {
				return true
			}
		}
		return len(d) == 0 && !ok
	case []any:
		keys := listKeys[path[strings.LastIndexByte(path, '.')+1:]]
		if keys == nil {
			break
		}
		l, _ := live.([]any)
		for _, value := range d {
			if element, found := find(l, keys, value); isMissing(absent, path+element, value, found) {
				return true
			}
		}
		return false
	}
	return live == nil
}

// find returns the path of a desired list element, and the element of live with the same merge keys.
func find(live []any, keys []string, desired any) (path string, found any) {
	d, _ := desired.(map[string]any)
	var named []any
	same := map[string]any{}
	for _, key := range keys {
		if value, ok := d[key]; ok {
			named, same[key] = append(named, key, value), value
		}
	}
	for _, one := range live {
		if contains(same, one) {
			found = one
		}
	}
	return fieldpath.PathElement{Key: fieldpath.KeyByFields(named...)}.String(), found
}

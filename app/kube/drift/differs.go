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

// HashAnnotation holds a hash of the desired object: a field that is no longer desired shows in nothing else.
const HashAnnotation = "console.app238.com/applied-hash"

// hashLength is enough hexadecimal digits to tell versions of one object apart.
const hashLength = 32

// Seal annotates a desired object with the hash of all of it but some fields.
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

// Hash returns the hash of an object's content; JSON sorts the keys.
func Hash(content map[string]any) (string, error) {
	encoded, err := json.Marshal(content)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(encoded)
	return hex.EncodeToString(sum[:])[:hashLength], nil
}

// Differs tells whether desired, which Seal annotated, is to be applied: it has changed, or somebody changed the object, cached as Note
// left it, since Inner wrote it last. Labels, annotations and owners have to have the desired values. Of other fields no value is
// compared, since webhooks and the API server write some in a way of their own: what others changed is theirs, and what they took away
// is missing. An object that Note never saw has to have every desired value.
func Differs(desired, cached map[string]any) bool {
	value, annotated := annotation(cached)
	if cached == nil || value == unmanaged || !contains(desired["metadata"], cached["metadata"]) {
		return true
	}
	absentFields := map[string]bool{}
	for path := range strings.SplitSeq(value, "\n") {
		absentFields[path] = true
	}
	for field, value := range desired {
		switch {
		case field == "apiVersion", field == "kind", field == "metadata":
		case annotated && isMissing(absentFields, "."+field, value, cached[field]), !annotated && !contains(value, cached[field]):
			return true
		}
	}
	return false
}

// holds tells whether live has all of desired.
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

// listKeys are the lists that the API merges by keys; every other one has one owner as a whole.
var listKeys = map[string][]string{
	"containers":                {"name"},
	"imagePullSecrets":          {"name"},
	"ports":                     {"containerPort", "port", "protocol"},
	"topologySpreadConstraints": {"topologyKey", "whenUnsatisfiable"},
}

// lacks tells whether live has no value for a desired field that is not among those which were taken out of what Inner wrote.
func isMissing(absentFields map[string]bool, path string, desired, live any) bool {
	if absentFields[path] {
		return false
	}
	switch d := desired.(type) {
	case map[string]any:
		l, ok := live.(map[string]any)
		for key, value := range d {
			if isMissing(absentFields, path+"."+key, value, l[key]) {
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
			if element, found := find(l, keys, value); isMissing(absentFields, path+element, value, found) {
				return true
			}
		}
		return false
	}
	return live == nil
}

// find returns the path of an element of a list with keys, and the element of live with the same ones.
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

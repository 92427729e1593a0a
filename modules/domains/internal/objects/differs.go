package objects

import (
	"reflect"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// Differs tells whether applying wished would change live; nil needs everything. The live object holds more than what was
// applied: what the API server filled in and what others own.
func Differs(wished, live *unstructured.Unstructured) bool {
	if live == nil {
		return true
	}
	for _, part := range [][]string{{"metadata", "labels"}, {"metadata", "annotations"}, {"spec"}} {
		w, _, err := unstructured.NestedFieldNoCopy(wished.Object, part...)
		if err != nil {
			return true
		}
		l, _, err := unstructured.NestedFieldNoCopy(live.Object, part...)
		if err != nil || !holds(part[len(part)-1], w, l, false) {
			return true
		}
	}
	return false
}

// mergedLists are the lists of these kinds that the API merges by a key; it replaces every other one as a whole.
var mergedLists = map[string]bool{"ports": true}

// holds tells whether live holds all of wished; whole demands that it holds nothing else.
func holds(field string, wished, live any, whole bool) bool {
	switch w := wished.(type) {
	case map[string]any:
		l, ok := live.(map[string]any)
		if !ok || whole && len(l) != len(w) {
			return false
		}
		for key, value := range w {
			if !holds(key, value, l[key], whole) {
				return false
			}
		}
		return true
	case []any:
		l, ok := live.([]any)
		if !ok || len(l) != len(w) {
			return false
		}
		for i := range w {
			if !holds("", w[i], l[i], !mergedLists[field]) {
				return false
			}
		}
		return true
	}
	return reflect.DeepEqual(wished, live)
}

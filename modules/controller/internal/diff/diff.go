// Package diff tells whether an object in the cluster lacks something that is wished, without asking the cluster.
//
// The wished object is what server-side apply would be given, so the live one holds more: what the API server filled in
// and what others own. Only what apply would change counts as a difference, or every look would write.
package diff

import (
	"reflect"

	"k8s.io/apimachinery/pkg/api/resource"
)

// listKeys are the lists that the API merges by a key, so that others may add entries of their own. Every other list is
// replaced as a whole.
var listKeys = map[string][]string{
	"containers":                {"name"},
	"imagePullSecrets":          {"name"},
	"ownerReferences":           {"uid"},
	"ports":                     {"port", "containerPort", "protocol"},
	"topologySpreadConstraints": {"topologyKey", "whenUnsatisfiable"},
}

// atomicMaps are the maps that the API replaces as a whole.
var atomicMaps = map[string]bool{"selector": true}

// quantities are the maps whose values may be written in several ways.
var quantities = map[string]bool{"limits": true, "requests": true}

// omittedWhenFalse are the booleans that the API leaves out when they are false, and that mean false when left out.
var omittedWhenFalse = map[string]bool{"paused": true}

// identity is what names an object; live objects of typed clients lack some of it.
var identity = map[string]bool{"apiVersion": true, "kind": true}

// Needed tells whether applying wished would change live. A live that is nil needs everything.
func Needed(wished, live map[string]any) bool {
	if live == nil {
		return true
	}
	for key, value := range wished {
		if !identity[key] && !contains(key, value, live[key], false) {
			return true
		}
	}
	return false
}

// contains tells whether live holds all of wished; whole demands that it holds nothing else.
func contains(field string, wished, live any, whole bool) bool {
	if isEmpty(wished) && isEmpty(live) {
		return true
	}
	if omittedWhenFalse[field] && live == nil {
		return wished == false
	}
	switch w := wished.(type) {
	case map[string]any:
		l, ok := live.(map[string]any)
		return ok && containsMap(field, w, l, whole || atomicMaps[field])
	case []any:
		l, ok := live.([]any)
		return ok && containsList(field, w, l, whole)
	default:
		return reflect.DeepEqual(wished, live)
	}
}

func containsMap(field string, wished, live map[string]any, whole bool) bool {
	for key, value := range wished {
		if quantities[field] {
			if !sameQuantity(value, live[key]) {
				return false
			}
		} else if !contains(key, value, live[key], whole) {
			return false
		}
	}
	if !whole {
		return true
	}
	for key, value := range live {
		if _, ok := wished[key]; !ok && !isEmpty(value) {
			return false
		}
	}
	return true
}

func containsList(field string, wished, live []any, whole bool) bool {
	if keys, ok := listKeys[field]; ok && !whole {
		for _, w := range wished {
			if !containsElement(keys, w, live) {
				return false
			}
		}
		return true
	}
	if len(wished) != len(live) {
		return false
	}
	for i := range wished {
		if !contains("", wished[i], live[i], true) {
			return false
		}
	}
	return true
}

// containsElement finds the element of live with the same keys.
func containsElement(keys []string, wished any, live []any) bool {
	w, ok := wished.(map[string]any)
	if !ok {
		return false
	}
	for _, candidate := range live {
		if l, ok := candidate.(map[string]any); ok && sameKeys(keys, w, l) {
			return containsMap("", w, l, false)
		}
	}
	return false
}

func sameKeys(keys []string, wished, live map[string]any) bool {
	for _, key := range keys {
		if value, ok := wished[key]; ok && !reflect.DeepEqual(value, live[key]) {
			return false
		}
	}
	return true
}

func sameQuantity(wished, live any) bool {
	w, wok := wished.(string)
	l, lok := live.(string)
	if !wok || !lok {
		return false
	}
	wq, werr := resource.ParseQuantity(w)
	lq, lerr := resource.ParseQuantity(l)
	return werr == nil && lerr == nil && wq.Cmp(lq) == 0
}

// isEmpty tells whether value says as much as its absence. A false or a zero may say more: see omittedWhenFalse.
func isEmpty(value any) bool {
	switch v := value.(type) {
	case nil:
		return true
	case string:
		return v == ""
	case map[string]any:
		return len(v) == 0
	case []any:
		return len(v) == 0
	}
	return false
}

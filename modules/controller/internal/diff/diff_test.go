package diff_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"app238.com/inner/modules/controller/internal/diff"
)

func parse(t *testing.T, text string) map[string]any {
	t.Helper()
	if text == "" {
		return nil
	}
	var u unstructured.Unstructured
	require.NoError(t, json.Unmarshal([]byte(`{"apiVersion": "v1", "kind": "Any", "o": `+text+`}`), &u))
	object, _, err := unstructured.NestedMap(u.Object, "o")
	require.NoError(t, err)
	return object
}

func TestNeeded(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		wished, live string
		needed       bool
	}{
		"nothing there":             {`{}`, ``, true},
		"equal":                     {`{"a": {"b": 1}}`, `{"a": {"b": 1}}`, false},
		"filled in by the API":      {`{"a": {"b": 1}}`, `{"a": {"b": 1, "c": 2}, "status": {"x": "y"}}`, false},
		"identity is not compared":  {`{"apiVersion": "v1", "kind": "X"}`, `{}`, false},
		"value edited":              {`{"a": {"b": 1}}`, `{"a": {"b": 2}}`, true},
		"value removed":             {`{"a": {"b": 1}}`, `{"a": {}}`, true},
		"type changed":              {`{"a": "1"}`, `{"a": 1}`, true},
		"object became a word":      {`{"a": {"b": 1}}`, `{"a": "x"}`, true},
		"empty is absent":           {`{"a": "", "b": {}, "c": []}`, `{}`, false},
		"false removed":             {`{"automountServiceAccountToken": false}`, `{}`, true},
		"zero removed":              {`{"maxUnavailable": 0}`, `{}`, true},
		"not paused":                {`{"paused": false}`, `{}`, false},
		"paused by hand":            {`{"paused": false}`, `{"paused": true}`, true},
		"quantity written anew":     {`{"limits": {"cpu": "1", "memory": "1Gi"}}`, `{"limits": {"cpu": "1000m", "memory": "1024Mi"}}`, false},
		"quantity edited":           {`{"limits": {"cpu": "1"}}`, `{"limits": {"cpu": "2"}}`, true},
		"quantity removed":          {`{"limits": {"cpu": "1"}}`, `{"limits": {}}`, true},
		"key added to a selector":   {`{"selector": {"app": "n"}}`, `{"selector": {"app": "n", "x": "y"}}`, true},
		"label added":               {`{"labels": {"app": "n"}}`, `{"labels": {"app": "n", "x": "y"}}`, false},
		"plain list reordered":      {`{"args": ["a", "b"]}`, `{"args": ["b", "a"]}`, true},
		"plain list grown":          {`{"args": ["a"]}`, `{"args": ["a", "b"]}`, true},
		"element of a plain list":   {`{"routes": [{"match": "m"}]}`, `{"routes": [{"match": "m", "middlewares": [{"name": "x"}]}]}`, true},
		"sidecar of somebody else":  {`{"containers": [{"name": "n", "image": "i"}]}`, `{"containers": [{"name": "s"}, {"name": "n", "image": "i", "x": 1}]}`, false},
		"image edited":              {`{"containers": [{"name": "n", "image": "i"}]}`, `{"containers": [{"name": "n", "image": "j"}]}`, true},
		"container renamed":         {`{"containers": [{"name": "n", "image": "i"}]}`, `{"containers": [{"name": "m", "image": "i"}]}`, true},
		"port with defaults":        {`{"ports": [{"port": 80, "protocol": "TCP"}]}`, `{"ports": [{"port": 80, "protocol": "TCP", "targetPort": 80}]}`, false},
		"port edited":               {`{"ports": [{"port": 80, "protocol": "TCP"}]}`, `{"ports": [{"port": 81, "protocol": "TCP"}]}`, true},
		"owner of an earlier life":  {`{"ownerReferences": [{"uid": "2"}]}`, `{"ownerReferences": [{"uid": "1"}]}`, true},
		"one more key in the data":  {`{"data": {"A": "1"}}`, `{"data": {"A": "1", "B": "2"}}`, false},
		"empty value where one was": {`{"data": {"A": "1"}}`, `{"data": {"A": ""}}`, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, test.needed, diff.Needed(parse(t, test.wished), parse(t, test.live)))
		})
	}
}

package desired_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"app238.com/inner/ent"
	"app238.com/inner/modules/workers/internal/desired"
)

func TestEnvironmentValuesBecomeStrings(t *testing.T) {
	t.Parallel()
	env, err := desired.Environment(`{"TEXT":"a","NUMBER":7,"BOOL":true,"LIST":[1,"b"]}`)
	require.NoError(t, err)
	require.Equal(t, map[string]string{"TEXT": "a", "NUMBER": "7", "BOOL": "true", "LIST": `[1,"b"]`}, env)
	env, err = desired.Environment("")
	require.NoError(t, err)
	require.Empty(t, env)
}

func TestErrorsOfColumnsHoldNoValues(t *testing.T) {
	t.Parallel()
	for _, broken := range []string{`["marker"]`, `{"A":"marker"`, `"marker"`, `7`} {
		require.ErrorContains(t, desired.CheckEnvironment(broken), "env_json: is not a JSON object")
		require.NotContains(t, desired.CheckEnvironment(broken).Error(), "marker")
	}
	for _, broken := range []string{`{"marker":1}`, `["marker"`, `[7]`} {
		_, err := desired.SecretKeys(broken)
		require.ErrorContains(t, err, "secrets_json: is not a JSON array of names")
		require.NotContains(t, err.Error(), "marker")
	}
	for _, name := range []string{"1A", "a b", "", strings.Repeat("A", 254), "é", "a=b"} {
		err := desired.CheckEnvironment(`{"` + name + `":"marker","OK":""}`)
		require.ErrorContains(t, err, "cannot be the name of a variable", name)
		require.NotContains(t, err.Error(), "marker")
	}
	require.ErrorContains(t, desired.CheckEnvironment(`{"A":"x\u0000y"}`), `the value of "A" holds a zero byte`)
	large := strings.Repeat("x", 128<<10-4)
	require.NoError(t, desired.CheckEnvironment(`{"AB":"`+large+`"}`))
	require.ErrorContains(t, desired.CheckEnvironment(`{"AB":"`+large+`y"}`),
		`"AB" has 131073 bytes with its value; no program can be given a variable of more than 131072`)
	many := map[string]string{}
	for i := range 9 {
		many[fmt.Sprint("N", i)] = strings.Repeat("x", 120_000)
	}
	text, err := json.Marshal(many)
	require.NoError(t, err)
	require.ErrorContains(t, desired.CheckEnvironment(string(text)),
		"1080036 bytes together, names counted twice; at most 1048576 can be kept")
	require.NoError(t, desired.CheckEnvironment(`{"A":"\n\"✓","_b.c-D":""}`))
}

func TestDiffSecretReachesDesiredState(t *testing.T) {
	t.Parallel()
	text := func(s string) *string { return &s }
	for name, c := range map[string]struct {
		actual map[string]string
		keys   string
		values map[string]*string
		set    map[string]string
		remove []string
	}{
		"a new key": {nil, `["A"]`, map[string]*string{"A": text("1")}, map[string]string{"A": "1"}, nil},
		"a new value": {map[string]string{"A": "0"}, `["A"]`, map[string]*string{"A": text("1")},
			map[string]string{"A": "1"}, nil},
		"the same value": {map[string]string{"A": "1"}, `["A"]`, map[string]*string{"A": text("1")},
			map[string]string{}, nil},
		"a deletion": {map[string]string{"A": "1", "B": "2"}, `["B"]`, map[string]*string{"A": text("")},
			map[string]string{}, []string{"A"}},
		"a late value of a deleted key": {map[string]string{"A": "1"}, `[]`, map[string]*string{"A": text("2")},
			map[string]string{}, []string{"A"}},
		"a late deletion of a key set again": {map[string]string{"A": "1"}, `["A"]`, map[string]*string{"A": text("")},
			map[string]string{}, nil},
		"an empty value of a missing key": {nil, `["A"]`, map[string]*string{"A": text("")}, map[string]string{"A": ""}, nil},
		"a value that was erased": {map[string]string{"A": "1"}, `["A"]`, map[string]*string{"A": nil}, map[string]string{},
			nil},
		"the platform's keys": {
			map[string]string{"RAYSAIL_UID": "u", "RAYSAIL_SECRET_KEY": "k", "COMBINATOR_API_ENDPOINT": "e"}, `["RAYSAIL_UID"]`,
			map[string]*string{"RAYSAIL_UID": text("x"), "RAYSAIL_SECRET_KEY": text("")}, map[string]string{}, nil,
		},
		"a key that is not desired": {map[string]string{"B": "1", "C": "1"}, ``, nil, map[string]string{},
			[]string{"B", "C"}},
		"an invalid name that is not desired": {nil, `[]`, map[string]*string{"1 2": text("x")}, map[string]string{}, nil},
	} {
		keys, err := desired.SecretKeys(c.keys)
		require.NoError(t, err, name)
		change, err := desired.DiffSecret(c.actual, keys, c.values)
		require.NoError(t, err, name)
		require.Equal(t, desired.SecretPatch{Set: c.set, Remove: c.remove}, change, name)
		require.Equal(t, len(c.set)+len(c.remove) == 0, change.Empty(), name)
	}
	_, err := desired.DiffSecret(map[string]string{"OLD": ""}, map[string]bool{"A": true, "1 2": true},
		map[string]*string{"A": text("1"), "1 2": text("marker")})
	require.ErrorContains(t, err, `"1 2" cannot be the name of a variable`)
	require.NotContains(t, err.Error(), "marker")
}

func TestSpecDefaultsEmptyColumns(t *testing.T) {
	t.Parallel()
	spec := desired.Spec(&ent.Worker{Wid: "w1", UserUID: "u1", MainRegion: "global"},
		&ent.WorkerDeployVersion{Image: "app:1", Port: 80})
	require.Equal(t, "1 500Mi 2Gi", spec.AssignedCPU+" "+spec.AssignedMemory+" "+spec.AssignedDisk)
	require.EqualValues(t, 1, spec.MaxReplicas)
	require.Empty(t, spec.MainRegion)
}
